"""``hwnas validate``: does an exported engine keep its budget, and is it as accurate as PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import BudgetAtOption, BudgetOption, DataOption, Percentile, ThreadsOption, parse_budget_ms
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb


@verb(example="hwnas validate runs/camvid --data camvid:CamVid --budget 10ms")
def command(
    shell: Shell,
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", help="Folder of an exported engine, or a run directory.")
    ],
    data: DataOption,
    budget: BudgetOption,
    budget_at: BudgetAtOption = Percentile.p50,
    threads: ThreadsOption = 1,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE", help="Latency table that predicts; else the run's own.")
    ] = None,
) -> Answer:
    """Judge an exported engine: its mIoU next to PyTorch's, its latency next to the prediction and the budget.

    Ends with exit code 1 if the verdict is FAIL.
    """
    from hwnas.cli import pipeline
    from hwnas.search.objective import Budget

    return pipeline.validate(
        shell,
        artifact=artifact,
        data=data,
        budget=Budget(parse_budget_ms(budget), budget_at.value),
        threads=threads,
        table=table,
    )
