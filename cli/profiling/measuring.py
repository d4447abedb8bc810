"""``hwnas profile measure``: from a bundle to a latency table, by timing it here or from a journal made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.documents import table_document
from hwnas.cli.options import EngineOption, MinutesOption, PinOption, ThreadsOption, parse_pin
from hwnas.cli.output import Answer
from hwnas.cli.results import print_table
from hwnas.cli.verb import Shell, verb


@verb(example="hwnas profile measure bundle.zip --minutes 5 -o table.json")
def command(
    shell: Shell,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle of `hwnas profile plan`.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The latency table to write.")],
    engine: EngineOption = "onnxruntime",
    precision: Annotated[
        str | None, typer.Option("--precision", metavar="NAME", help="Else that of the bundle's graphs.")
    ] = None,
    threads: ThreadsOption = 1,
    pin: PinOption = None,
    minutes: MinutesOption = 5.0,
    journal: Annotated[
        Path | None,
        typer.Option("--journal", metavar="FILE", help="Time nothing: what measure.py measured on the device."),
    ] = None,
) -> Answer:
    """Time a bundle on this machine and make the latency table, or make it of what was measured elsewhere.

    What was measured lies beside the table (TABLE.measured.jsonl) until all is; a measuring that was stopped or killed
    goes on there when the same command runs again.
    """
    from hwnas.cli.stages.bundling import measure_table, table_of_journal

    if journal is not None:
        table = table_of_journal(bundle, journal, output)
    else:
        table = measure_table(
            bundle,
            output,
            engine=engine,
            precision=precision,
            threads=threads,
            pin=parse_pin(pin),
            seconds=60 * minutes,
            progress=shell.progress,
        )
    document = table_document(output, table)
    return Answer(document, lambda console: print_table(console, document))
