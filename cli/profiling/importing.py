"""``hwnas profile import``: other people's latency tables."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hwnas.cli.documents import table_document
from hwnas.cli.output import Answer
from hwnas.cli.results import print_table
from hwnas.cli.verb import Shell, verb


class Format(StrEnum):
    """Formats that can be read."""

    fasterseg = "fasterseg"
    csv = "csv"


def _setting(name: str, what: str, metavar: str = "TEXT") -> Any:
    return typer.Option(name, metavar=metavar, help=f"CSV: {what}, where no column says.", rich_help_panel="Setting")


@verb(example="hwnas profile import lut.csv --format csv --size 360x480 -o t.json")
def command(
    shell: Shell,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The table to read.")],
    form: Annotated[Format, typer.Option("--format", help="What FILE is.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The latency table to write.")],
    source: Annotated[
        str, typer.Option("--source", metavar="TEXT", help="CSV: where the figures come from; is kept in the table.")
    ] = "",
    device: Annotated[str, _setting("--device", "name of the processor")] = "",
    engine: Annotated[str, _setting("--engine", "the engine")] = "",
    engine_version: Annotated[str, _setting("--engine-version", "its version")] = "",
    precision: Annotated[str, _setting("--precision", "fp32, fp16, int8 …")] = "",
    batch: Annotated[str, _setting("--batch", "images at once (1)", "N")] = "",
    threads: Annotated[str, _setting("--threads", "threads of the engine (1)", "N")] = "",
    size: Annotated[str, _setting("--size", "input height x width", "HxW")] = "",
) -> Answer:
    """Make a latency table of another format: FasterSeg's as JSON, or a CSV with a row for each kernel.

    A CSV has the columns op, inputs (24x90x120; joined by +), ms and one for each parameter of an op, or key and ms;
    and perhaps spread, device, engine, engine_version, precision, batch, threads, size. Such a table predicts by the
    plain sum, and nothing is known of how accurate that is.
    """
    from hwnas.latency.importing import import_table
    from hwnas.latency.table import save_table

    given = {
        "device": device,
        "engine": engine,
        "engine_version": engine_version,
        "precision": precision,
        "batch": batch,
        "threads": threads,
        "size": size,
    }
    table = import_table(file, form.value, given, source)
    save_table(table, output)
    document = {**table_document(output, table), "rows": table.provenance["imported"]["rows"]}
    return Answer(document, lambda console: print_table(console, document))
