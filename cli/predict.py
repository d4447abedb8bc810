"""``hwnas predict``: a network's latency from a table, node by node."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.options import DEFAULT_CLASSES, GenotypeArgument, TableOption, graph_of
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import TableError

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.latency.model import Prediction


@verb(example="hwnas predict fast-scnn --table table.json --size 360x480 --classes 11")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    table: TableOption,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Input height x width; else the table's.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", min=2, help="Number of classes; else the table's.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Use the table for another size than its own.")] = False,
) -> Answer:
    """Predict a network's latency on the machine and engine that a table was measured on."""
    from hwnas.latency.model import TableModel
    from hwnas.latency.table import check_setting, classes_of, load_table
    from hwnas.shapes import parse_size

    measured = load_table(table)
    height, width = parse_size(size) if size else measured.contract.size_hw
    try:
        check_setting(measured, replace(measured.contract, size_hw=(height, width)), force=force)
    except TableError as error:
        raise TableError(error.message, f"{error.hint}, or use the table all the same with --force") from error
    classes = classes or classes_of(measured) or DEFAULT_CLASSES
    found, graph = graph_of(genotype, f"{height}x{width}", classes)
    prediction = TableModel(measured).predict(graph)
    document = {
        "genotype": found.name,
        "size": f"{height}x{width}",
        "classes": classes,
        "latency_ms": prediction.latency_ms,
        "interval_ms": prediction.interval_ms,
        "overhead_ms": prediction.overhead_ms,
        "nodes": prediction.nodes,
        "contract": measured.contract.to_dict(),
    }

    def text(console: Console) -> None:
        print_prediction(console, f"{found.name} at {height}x{width}, {classes} classes", prediction)

    return Answer(document, text)


def print_prediction(console: Console, title: str, prediction: Prediction) -> None:
    """A row for each node with its share, then the sum and its interval."""
    from rich.table import Table

    rows = Table("node", "op", title=title, title_justify="left")
    for heading in ("ms", "share"):
        rows.add_column(heading, justify="right")
    rows.add_column("from")
    for node in prediction.nodes:
        share = node.latency_ms / prediction.latency_ms
        rows.add_row(node.name, node.op, f"{node.latency_ms:.3f}", f"{share:.1%}", node.source)
    rows.add_row(
        "", "", f"{prediction.overhead_ms:.3f}", f"{prediction.overhead_ms / prediction.latency_ms:.1%}", "net"
    )
    console.print(rows)
    low, high = prediction.interval_ms
    console.print(f"predicted {prediction.latency_ms:.2f} ms, in {low:.2f}-{high:.2f} ms")
