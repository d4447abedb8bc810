"""``hwnas deploy``: the whole way, from a folder of images and a latency budget to an engine that meets it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import (
    BudgetAtOption,
    BudgetOption,
    ClockName,
    ClockOption,
    ConfidenceOption,
    DataOption,
    ForceOption,
    LimitOption,
    MethodOption,
    MinutesOption,
    ObjectiveOption,
    Percentile,
    ResumeOption,
    RunOption,
    SamplerOption,
    SearchedSpaceOption,
    SizeOption,
    StrategyOption,
    ThreadsOption,
    parse_budget_ms,
)
from hwnas.cli.output import Answer
from hwnas.cli.recipes import (
    LogOption,
    RecipeOption,
    SetOption,
    TeacherOption,
    TeacherWeightsOption,
    changes_of,
)
from hwnas.cli.verb import Shell, verb


@verb(
    example="hwnas deploy --data camvid:CamVid --size 360x480 --budget 10ms --run runs/a",
    resumable=True,
)
def command(
    shell: Shell,
    data: DataOption,
    size: SizeOption,
    budget: BudgetOption,
    run: RunOption,
    minutes: MinutesOption = 20.0,
    clock: ClockOption = ClockName.wall,
    method: MethodOption = None,
    space: SearchedSpaceOption = None,
    strategy: StrategyOption = None,
    sampler: SamplerOption = None,
    threads: ThreadsOption = 1,
    budget_at: BudgetAtOption = Percentile.p50,
    confidence: ConfidenceOption = None,
    objective: ObjectiveOption = "miou",
    limit: LimitOption = None,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE", help="Use this latency table; else one is measured.")
    ] = None,
    force: ForceOption = False,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    teacher: TeacherOption = None,
    teacher_weights: TeacherWeightsOption = None,
    log: LogOption = None,
    resume: ResumeOption = False,
) -> Answer:
    """Profile this machine, search under the budget, train, export, validate and draw the network found.

    The recipe, the teacher and the logs are those of the last training, of the network found.
    Ends with exit code 1 if the exported engine misses the budget.
    """
    from hwnas.cli import pipeline
    from hwnas.cli.methods import settled
    from hwnas.cli.settings import Settings
    from hwnas.shapes import parse_size

    settings = Settings(
        data=data,
        size_hw=parse_size(size),
        budget_ms=parse_budget_ms(budget),
        budget_at=budget_at.value,
        minutes=minutes,
        clock=clock.value,
        **settled(method, space, strategy, sampler, parse_size(size)),
        threads=threads,
        seed=shell.seed,
        table=str(table) if table is not None else None,
        force=force,
        confidence=confidence,
        objective=objective,
        limits=tuple(limit or ()),
        recipe=changes_of(recipe, set_ or ()),
        teacher=teacher,
        teacher_weights=str(teacher_weights) if teacher_weights is not None else None,
    )
    return pipeline.deploy(shell, settings, run, logs=tuple(log or ()), resume=resume)
