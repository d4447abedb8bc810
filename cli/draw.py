"""``hwnas draw``: pictures of a network and its cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.options import DEFAULT_CLASSES, DEFAULT_SIZE, ClassesOption, GenotypeArgument, SizeOption, graph_of
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("svg", "png")


@verb(example="hwnas draw fast-scnn --size 360x480 --classes 11 -o pictures")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the pictures.")],
    size: SizeOption = DEFAULT_SIZE,
    classes: ClassesOption = DEFAULT_CLASSES,
) -> Answer:
    """Draw a network and each of its cells, as SVG and PNG."""
    from hwnas.report.dot import render
    from hwnas.report.draw import draw_cell, draw_network

    found, graph = graph_of(genotype, size, classes)
    sources = {"network": draw_network(graph)}
    sources |= {f"cell-{role}": draw_cell(cell) for role, cell in found.cells.items()}
    paths = []
    with shell.progress.task("drawing", len(sources)) as task:
        for step, (name, source) in enumerate(sources.items()):
            paths += [render(source, output / f"{name}.{suffix}") for suffix in FORMATS]
            task.update(step + 1)
    document = {"genotype": found.name, "size": size, "classes": classes, "pictures": paths}

    def text(console: Console) -> None:
        for path in paths:
            console.print(str(path), markup=False, soft_wrap=True)

    return Answer(document, text)
