"""``hwnas search``: train a supernet and search it under a latency budget."""

from __future__ import annotations

from hwnas.cli.options import (
    BudgetAtOption,
    BudgetOption,
    ConfidenceOption,
    DataOption,
    LimitOption,
    MethodOption,
    MinutesOption,
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
    WorkerCpusOption,
    WorkersOption,
    parse_budget_ms,
)
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb


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
    minutes: MinutesOption = 15.0,
    method: MethodOption = None,
    space: SearchedSpaceOption = None,
    strategy: StrategyOption = None,
    sampler: SamplerOption = None,
    threads: ThreadsOption = 1,
    budget_at: BudgetAtOption = Percentile.p50,
    confidence: ConfidenceOption = None,
    objective: ObjectiveOption = "miou",
    limit: LimitOption = None,
    workers: WorkersOption = None,
    ray: RayOption = None,
    worker_cpus: WorkerCpusOption = None,
    resume: ResumeOption = False,
) -> Answer:
    """Search a space for the most accurate network within a latency budget, priced by a table.

    Further tables price further devices or engines at the same time: their latencies are latency_ms@NAME.
    """
    from hwnas.cli import pipeline
    from hwnas.cli.methods import settled
    from hwnas.cli.settings import Settings
    from hwnas.cli.stages.workers import Workers
    from hwnas.shapes import parse_size

    settings = Settings(
        data=data,
        size_hw=parse_size(size),
        budget_ms=parse_budget_ms(budget),
        budget_at=budget_at.value,
        minutes=minutes,
        **settled(method, space, strategy, sampler, parse_size(size)),
        threads=threads,
        seed=shell.seed,
        table=table[0].partition("=")[2] or table[0],
        devices=tuple(table[1:]),
        objective=objective,
        limits=tuple(limit or ()),
        confidence=confidence,
    )
    spread = Workers(workers, ray, worker_cpus) if ray is not None else Workers(workers or 1, None, worker_cpus)
    return pipeline.search(shell, settings, run, workers=spread, resume=resume)
