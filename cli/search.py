"""``hwnas search``: train a supernet and search it under a latency budget."""

from __future__ import annotations

from typing import Annotated

import typer

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.options import (
    BudgetAtOption,
    BudgetOption,
    ConfidenceOption,
    DataOption,
    EvaluationsOption,
    LimitOption,
    MethodOption,
    MinutesOption,
    NetworkOption,
    ObjectiveOption,
    Percentile,
    RayOption,
    ResumeOption,
    RunOption,
    SamplerOption,
    SearchedSpaceOption,
    SizeOption,
    StrategyOption,
    TablesOption,
    ThreadsOption,
    VaryOption,
    WorkerCpusOption,
    WorkerGpusOption,
    WorkersOption,
    parse_budget_ms,
)
from hwnas.cli.output import Answer
from hwnas.cli.recipes import RecipeOption, SetOption, TeacherOption, TeacherWeightsOption, changes_of
from hwnas.cli.studies import StorageOption, StudyOption
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError


@verb(
    example="hwnas search --data streets --size 96x128 --budget 5ms --table t.json --run s",
    resumable=True,
)
def command(
    shell: Shell,
    data: DataOption,
    size: SizeOption,
    budget: BudgetOption,
    table: TablesOption,
    run: RunOption,
    evaluation: EvaluatorOptions,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="The table is of another device or setting, and so is the network: nothing is timed here."
        ),
    ] = False,
    minutes: MinutesOption = 15.0,
    method: MethodOption = None,
    space: SearchedSpaceOption = None,
    network: NetworkOption = None,
    vary: VaryOption = None,
    strategy: StrategyOption = None,
    sampler: SamplerOption = None,
    threads: ThreadsOption = 1,
    budget_at: BudgetAtOption = Percentile.p50,
    confidence: ConfidenceOption = None,
    objective: ObjectiveOption = "miou",
    limit: LimitOption = None,
    evaluations: EvaluationsOption = None,
    workers: WorkersOption = None,
    ray: RayOption = None,
    worker_cpus: WorkerCpusOption = None,
    worker_gpus: WorkerGpusOption = 0.0,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    teacher: TeacherOption = None,
    teacher_weights: TeacherWeightsOption = None,
    storage: StorageOption = None,
    study: StudyOption = None,
    join: Annotated[
        bool, typer.Option("--join", help="Evaluate candidates of the search that is under way in this run directory.")
    ] = False,
    resume: ResumeOption = False,
) -> Answer:
    """Search a space for the most accurate network within a latency budget, priced by a table; or for recipes (--vary).

    The table is of the device that the network is for; if that is not this one, say so with --force.
    Further tables price further devices or engines at the same time: their latencies are latency_ms@NAME.
    The recipe and the teacher are those of the supernet that the search trains.
    """
    from hwnas.cli import pipeline
    from hwnas.cli.methods import settled
    from hwnas.cli.objectives import table_names
    from hwnas.cli.settings import Settings, single
    from hwnas.cli.stages.searching import place_of_study
    from hwnas.cli.stages.workers import Workers
    from hwnas.search.database import address_of
    from hwnas.shapes import parse_size

    settings = Settings(
        data=data,
        size_hw=parse_size(size),
        budget_ms=parse_budget_ms(budget),
        budget_at=budget_at.value,
        minutes=minutes,
        **{**settled(method, space, strategy, sampler, parse_size(size)), **single(network, method, space)},
        vary=tuple(vary or ()),
        threads=threads,
        seed=shell.seed,
        table=next(iter(table_names(table[:1]).values())),
        force=force,
        devices=tuple(table[1:]),
        objective=objective,
        limits=tuple(limit or ()),
        evaluations=evaluations,
        confidence=confidence,
        supernet_recipe=changes_of(recipe, set_ or ()),
        supernet_teacher=teacher,
        supernet_teacher_weights=None if teacher_weights is None else str(teacher_weights),
        storage=None if storage is None else address_of(storage),
        study=None if storage is None else study or run.resolve().name,
        evaluation=evaluation,
    )
    if join and resume:
        raise HwnasError("a search is either joined or resumed", "--join while another process is at it, else --resume")
    place = place_of_study(run, storage, study, join=join)
    count = workers if ray is not None else workers or 1
    spread = Workers(count, ray, worker_cpus, worker_gpus)
    if join:
        return pipeline.take_part(shell, settings, run, workers=spread, place=place)
    return pipeline.search(shell, settings, run, workers=spread, resume=resume, place=place)
