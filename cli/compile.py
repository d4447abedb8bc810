"""``hwnas compile``: a genotype as a readable PyTorch module that needs only torch."""

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


@verb(example="hwnas compile fast-scnn --size 360x480 --classes 11 -o model.py")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The Python file to write.")],
    size: KnownSizeOption = None,
    classes: KnownClassesOption = None,
) -> Answer:
    """Write a network as readable PyTorch source that imports only torch."""
    from hwnas.compiler.source import write_source
    from hwnas.files import write_text

    found, graph = graph_of(genotype, size, classes, network)
    size, classes = input_of(graph)
    source = write_source(graph, found.name)
    write_text(output, source)
    document = {
        "genotype": found.name,
        "size": size,
        "classes": classes,
        "file": output,
        "lines": len(source.splitlines()),
    }

    def text(console: Console) -> None:
        console.print(f"{output}: {found.name} at {size}, {classes} classes", markup=False, soft_wrap=True)

    return Answer(document, text)
