"""``hwnas zoo``: the published networks that come with hwnas, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.options import DEFAULT_CLASSES, DEFAULT_SIZE, ClassesOption, SizeOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, add_verb, new_group, verb

if TYPE_CHECKING:
    from rich.console import Console

app = new_group("Published networks: list, show.", example="hwnas zoo list")


@verb(example="hwnas zoo list --size 360x480 --classes 11")
def list_networks(shell: Shell, size: SizeOption = DEFAULT_SIZE, classes: ClassesOption = DEFAULT_CLASSES) -> Answer:
    """List the networks of the zoo with their parameters and multiply-accumulates."""
    from hwnas.compiler.cost import cost_of
    from hwnas.shapes import parse_size
    from hwnas.skeletons.base import expand
    from hwnas.zoo.catalog import load, names

    height, width = parse_size(size)
    rows = []
    for name in names():
        genotype = load(name)
        cost = cost_of(expand(genotype, (3, height, width), classes))
        rows.append((name, genotype.skeleton, cost.params, cost.macs))

    def text(console: Console) -> None:
        from rich.table import Table

        table = Table("network", "skeleton", title=f"at {size}, {classes} classes", title_justify="left")
        table.add_column("params M", justify="right")
        table.add_column("GMACs", justify="right")
        for name, skeleton, params, macs in rows:
            table.add_row(name, skeleton, f"{params / 1e6:.2f}", f"{macs / 1e9:.3f}")
        console.print(table)

    networks = [dict(zip(("name", "skeleton", "params", "macs"), row, strict=True)) for row in rows]
    return Answer({"size": size, "classes": classes, "networks": networks}, text)


@verb(example="hwnas zoo show fast-scnn")
def show(shell: Shell, name: Annotated[str, typer.Argument(metavar="NAME", help="A name of the zoo.")]) -> Answer:
    """Print a network's genotype, as it would stand in a file."""
    import json

    from hwnas.ir.serialize import genotype_to_dict
    from hwnas.zoo.catalog import load

    document = genotype_to_dict(load(name))

    def text(console: Console) -> None:
        console.print(json.dumps(document, indent=1), markup=False, soft_wrap=True)

    return Answer(document, text)


add_verb(app, "list", list_networks)
add_verb(app, "show", show)
