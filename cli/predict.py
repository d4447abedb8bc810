"""``hwnas predict``: a network's latency from a table, node by node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import (
    DEFAULT_CLASSES,
    ForceOption,
    GenotypeArgument,
    TableOption,
    graph_of,
)
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import TableError

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.ir.opgraph import OpGraph
    from hwnas.latency.model import Prediction, TableModel


@verb(example="hwnas predict fast-scnn --table table.json --size 360x480 --classes 11")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    table: TableOption,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Input height x width; else the table's.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", min=2, help="Number of classes; else the table's.")
    ] = None,
    confidence: Annotated[
        float, typer.Option("--confidence", metavar="SHARE", help="How often the interval holds, like 0.9.")
    ] = 0.9,
    force: ForceOption = False,
) -> Answer:
    """Predict a network's latency on the machine and engine that a table was measured on."""
    from hwnas.cli.cost import costs_of, print_costs
    from hwnas.cli.tables import check_usable_at
    from hwnas.latency.costs.base import CostSetting
    from hwnas.latency.model import TableModel
    from hwnas.latency.table import classes_of, load_table
    from hwnas.search.objective import check_confidence
    from hwnas.shapes import parse_size

    check_confidence(confidence)
    measured = load_table(table)
    height, width = parse_size(size) if size else measured.contract.size_hw
    check_usable_at(measured, (height, width), force=force)
    own_classes = classes_of(measured)
    classes = classes or own_classes or DEFAULT_CLASSES
    plain = replace(network, auxiliary=False)
    size = f"{height}x{width}"
    found, graph = graph_of(genotype, size, classes, plain)
    model = TableModel(measured)
    try:
        prediction = model.predict(graph, confidence=confidence)
    except TableError as error:
        if own_classes in (None, classes) or not _prices(model, graph_of(genotype, size, own_classes, plain)[1]):
            raise  # the classes are not what is wrong
        raise _other_classes(error, own_classes, classes, genotype, table) from error
    setting = CostSetting(precision=measured.contract.precision)
    costs = costs_of(graph, setting)
    document = {
        "genotype": found.name,
        "size": size,
        "classes": classes,
        "latency_ms": prediction.latency_ms,
        "interval_ms": prediction.interval_ms,
        "confidence": confidence,
        "overhead_ms": prediction.overhead_ms,
        "nodes": prediction.nodes,
        "costs": costs,
        "contract": measured.contract.to_dict(),
    }

    def text(console: Console) -> None:
        print_prediction(console, f"{found.name} at {size}, {classes} classes", prediction, confidence)
        print_costs(console, costs, setting.precision)

    return Answer(document, text)


def _other_classes(error: TableError, own: int | None, classes: int, genotype: str, table: Path) -> TableError:
    """What to say where the table prices the network, but for its own number of classes."""
    timed = f"hwnas profile -o {table} --missing --genotype {genotype} --classes {classes}"
    return TableError(
        f"the table was made for {own} classes, not {classes}: {error.message}",
        f"give --classes {own}, or time what is missing: `{timed}`",
    )


def _prices(model: TableModel, graph: OpGraph) -> bool:
    try:
        model.predict(graph)
    except TableError:
        return False
    return True


def print_prediction(console: Console, title: str, prediction: Prediction, confidence: float) -> None:
    """A row for each node with its share, then the sum and its interval."""
    from rich.table import Table

    rows = Table("node", "op", title=title, title_justify="left")
    for heading in ("ms", "share"):
        rows.add_column(heading, justify="right")
    rows.add_column("from")
    parts = [(node.name, node.op, node.latency_ms, node.source) for node in prediction.nodes]
    for name, op, latency_ms, source in (*parts, ("", "", prediction.overhead_ms, "net")):
        share = latency_ms / prediction.latency_ms
        rows.add_row(name, op, _unsigned_zero(f"{latency_ms:.3f}"), _unsigned_zero(f"{share:.1%}"), source)
    console.print(rows)
    low, high = prediction.interval_ms
    console.print(
        f"predicted {prediction.latency_ms:.2f} ms, in {low:.2f}-{high:.2f} ms with a confidence of {confidence:g}"
    )


def _unsigned_zero(text: str) -> str:
    """``text`` without a sign that stands before nothing but zeros."""
    return text if text.strip("-0.%") else text.removeprefix("-")
