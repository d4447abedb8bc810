"""``hwnas draw``: pictures of a network and its cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import GenotypeArgument, KnownClassesOption, KnownSizeOption, graph_of, input_of
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console


@verb(example="hwnas draw fast-scnn --size 360x480 --classes 11 -o pictures")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the pictures.")],
    size: KnownSizeOption = None,
    classes: KnownClassesOption = None,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE", help="Colour nodes by this table's latencies.")
    ] = None,
) -> Answer:
    """Draw a network and each of its cells, as SVG and PNG."""
    from hwnas.report.draw import draw_genotype

    found, graph = graph_of(genotype, size, classes, network)
    size, classes = input_of(graph)
    values = None
    if table is not None:
        from hwnas.latency.model import TableModel
        from hwnas.latency.table import load_table

        values = {node.name: node.latency_ms for node in TableModel(load_table(table)).predict(graph).nodes}
    with shell.progress.task(f"draw {found.name}", 1):
        paths = draw_genotype(found, graph, output, values=values)
    document = {"genotype": found.name, "size": size, "classes": classes, "pictures": paths}

    def text(console: Console) -> None:
        for path in paths:
            console.print(str(path), markup=False, soft_wrap=True)

    return Answer(document, text)
