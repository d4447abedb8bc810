"""``hwnas search``: train a supernet and search it under a latency budget."""

from __future__ import annotations

from hwnas.cli.options import (
    BudgetAtOption,
    BudgetOption,
    ConfidenceOption,
    DataOption,
    MinutesOption,
    Percentile,
    ResumeOption,
    RunOption,
    SamplerOption,
    SizeOption,
    SpaceOption,
    StrategyOption,
    TableOption,
    ThreadsOption,
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
    table: TableOption,
    run: RunOption,
    minutes: MinutesOption = 15.0,
    space: SpaceOption = "realtime",
    strategy: StrategyOption = "evolution",
    sampler: SamplerOption = "uniform",
    threads: ThreadsOption = 1,
    budget_at: BudgetAtOption = Percentile.p50,
    confidence: ConfidenceOption = None,
    resume: ResumeOption = False,
) -> Answer:
    """Search a space for the most accurate network within a latency budget, priced by a table."""
    from hwnas.cli import pipeline
    from hwnas.cli.settings import Settings
    from hwnas.shapes import parse_size

    settings = Settings(
        data=data,
        size_hw=parse_size(size),
        budget_ms=parse_budget_ms(budget),
        budget_at=budget_at.value,
        minutes=minutes,
        space=space,
        strategy=strategy,
        sampler=sampler,
        threads=threads,
        seed=shell.seed,
        table=str(table),
        confidence=confidence,
    )
    return pipeline.search(shell, settings, run, resume=resume)
