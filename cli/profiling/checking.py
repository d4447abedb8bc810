"""``hwnas profile check``: whether a latency table still holds on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.options import parse_share
from hwnas.cli.output import EXIT_FAIL, EXIT_OK, Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console


@verb(example="hwnas profile check table.json --tolerance 10%")
def command(
    shell: Shell,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A latency table of this machine.")],
    tolerance: Annotated[
        str, typer.Option("--tolerance", metavar="SHARE", help="How far the median may have drifted.")
    ] = "10%",
    kernels: Annotated[int, typer.Option("--kernels", min=1, help="How many kernels are timed again.")] = 24,
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="How long timing may take.")] = 20.0,
) -> Answer:
    """Time some kernels of a table again, of every kind and from quick to slow, and say how far they drifted.

    Ends with exit code 1 if the median drifted further than --tolerance.
    """
    from hwnas.cli.stages.bundling import drift_of_table

    allowed = parse_share(tolerance, "--tolerance")
    drift = drift_of_table(table, kernels=kernels, seconds=seconds, seed=shell.seed, progress=shell.progress)
    ok = abs(drift.median - 1.0) <= allowed
    document = {
        "table": table,
        "kernels": drift.kernels,
        "median": drift.median,
        "worst": drift.worst,
        "worst_key": drift.worst_key,
        "tolerance": allowed,
        "ok": ok,
    }

    def text(console: Console) -> None:
        console.print(f"timed again  {drift.kernels} kernels of {table}", markup=False)
        console.print(f"median       {change(drift.median)}, tolerance {allowed:.0%}")
        console.print(f"worst        {change(drift.worst)}: {drift.worst_key}", markup=False)
        if ok:
            console.print("the table holds")
        else:
            console.print("the table does not hold: check again when nothing else runs here, or profile anew")

    return Answer(document, text, EXIT_OK if ok else EXIT_FAIL)


def change(ratio: float) -> str:
    """1.031 → ``3.1% slower``."""
    return f"{abs(ratio - 1.0):.1%} {'slower' if ratio >= 1.0 else 'faster'}"
