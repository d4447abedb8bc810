"""``hwnas zoo``: the published networks that come with hwnas, by name, and the notations of their papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli import cost, draw, export, predict
from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import GenotypeArgument, KnownClassesOption, KnownSizeOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, add_verb, new_group, verb

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hwnas.zoo.catalog import ZooEntry
    from hwnas.zoo.published import Figure

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name of the zoo.")]

app = new_group(
    "Published networks: list, show, cost, predict, draw, export, and their notations.",
    example="hwnas zoo list",
)


@verb(example="hwnas zoo list --size 360x480 --classes 11")
def list_networks(shell: Shell, size: KnownSizeOption = None, classes: KnownClassesOption = None) -> Answer:
    """List the networks of the zoo with their parameters and multiply-accumulates."""
    from hwnas.shapes import parse_size
    from hwnas.zoo.catalog import entry, names

    rows = []
    with shell.progress.task("count", len(names())) as task:
        for done, name in enumerate(names(), start=1):
            network = entry(name)
            size_hw = parse_size(size) if size else network.size_hw
            rows.append({"name": name, **_counted_or_not(network, size_hw, classes or network.classes)})
            task.update(done)

    def text(console: Console) -> None:
        from rich.table import Table

        table = Table("network", "skeleton", "input")
        for heading in ("classes", "params M", "GMACs"):
            table.add_column(heading, justify="right")
        for row in rows:
            counts = (f"{row['params'] / 1e6:.2f}", f"{row['macs'] / 1e9:.3f}") if row["macs"] else ("-", "-")
            table.add_row(row["name"], row["skeleton"], row["size"], str(row["classes"]), *counts)
        console.print(table)
        for row in rows:
            if row["problem"]:
                console.print(f"{row['name']}: {row['problem']}", markup=False)

    return Answer({"networks": rows}, text)


@verb(example="hwnas zoo show bisenetv2")
def show(
    shell: Shell,
    name: NameArgument,
    genotype: Annotated[
        bool, typer.Option("--genotype", help="Print its genotype alone, as it would stand in a file.")
    ] = False,
) -> Answer:
    """Show where a network comes from and its published figures beside ours; or print its genotype."""
    import json

    from hwnas.ir.serialize import genotype_to_dict
    from hwnas.zoo.catalog import entry
    from hwnas.zoo.published import figures_of

    network = entry(name)
    document = genotype_to_dict(network.genotype)
    if genotype:
        return Answer(document, lambda console: console.print(json.dumps(document, indent=1), markup=False))
    figures = [_compared(figure) for figure in figures_of(name)]
    facts = {
        "name": name,
        "paper": network.paper,
        "source": network.source,
        "note": network.note,
        **_counted(network, network.size_hw, network.classes),
        "figures": figures,
        "genotype": document,
    }

    def text(console: Console) -> None:
        for label in ("name", "paper", "source", "note", "skeleton"):
            if facts[label]:
                console.print(f"{label:9}{facts[label]}", markup=False, soft_wrap=True)
        console.print(f"{'input':9}{facts['size']}, {facts['classes']} classes")
        console.print(f"{'params':9}{facts['params']:,}")
        console.print(f"{'MACs':9}{facts['macs']:,}")
        if figures:
            console.print(_table_of(figures))

    return Answer(facts, text)


@verb(example="hwnas zoo notation darts-v2 -o darts-v2.txt")
def notation(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write; else it is printed.")
    ] = None,
    wanted: Annotated[
        str, typer.Option("--as", metavar="NOTATION", help="Which notation (docs/spaces.md); else one that fits.")
    ] = "",
) -> Answer:
    """Write a genotype in the notation of a paper; verbs read it again with --skeleton."""
    from hwnas.files import write_text
    from hwnas.zoo.notation.registry import write_notation

    found = network.resolve(genotype).genotype
    written = write_notation(found, wanted)
    if output is not None:
        write_text(output, written.text)
    if written.unsaid:
        unsaid = ", ".join(f"{name} {value}" for name, value in written.unsaid.items())
        shell.progress.say(f"WARNING the notation {written.notation} has no place for: {unsaid}")
    document = {
        "genotype": found.name,
        "notation": written.notation,
        "skeleton": written.skeleton,
        "unsaid": written.unsaid,
        "text": written.text,
        "file": output,
    }
    told = f"{output}: {found.name}, to be read with --skeleton {written.skeleton}"
    shown = written.text.rstrip("\n") if output is None else told
    return Answer(document, lambda console: console.print(shown, markup=False, soft_wrap=True))


def _counted(network: ZooEntry, size_hw: tuple[int, int], classes: int) -> dict[str, Any]:
    """Skeleton, input, parameters and multiplications of a network, without heads that only training needs."""
    from hwnas.compiler.cost import cost_of
    from hwnas.skeletons.base import expand

    found = cost_of(expand(network.genotype, (3, *size_hw), classes))
    size = f"{size_hw[0]}x{size_hw[1]}"
    return {
        "skeleton": network.genotype.skeleton,
        "size": size,
        "classes": classes,
        "params": found.params,
        "macs": found.macs,
    }


def _counted_or_not(network: ZooEntry, size_hw: tuple[int, int], classes: int) -> dict[str, Any]:
    """The same with ``problem``: why the network cannot have that input, or ``""``."""
    from hwnas.errors import HwnasError

    try:
        return {**_counted(network, size_hw, classes), "problem": ""}
    except HwnasError as error:
        size = f"{size_hw[0]}x{size_hw[1]}"
        facts = {"skeleton": network.genotype.skeleton, "size": size, "classes": classes}
        return {**facts, "params": None, "macs": None, "problem": error.message}


def _compared(figure: Figure) -> dict[str, Any]:
    """A published figure and what we count in its place."""
    from hwnas.report.published import counted

    build = figure.build
    assert build is not None
    return {
        "id": figure.id,
        "quantity": figure.quantity,
        "size": f"{build.size_hw[0]}x{build.size_hw[1]}",
        "classes": build.classes,
        "auxiliary": build.auxiliary,
        "published": figure.value,
        "ours": counted(figure),
        "extra_params": build.extra_params,
        "how": figure.how,
        "source": figure.source,
    }


def _table_of(figures: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table("quantity", "input", title="published figures", title_justify="left")
    for heading in ("classes", "published", "ours"):
        table.add_column(heading, justify="right")
    table.add_column("how", overflow="fold")
    for row in figures:
        quantity = row["quantity"] + (" with training heads" if row["auxiliary"] else "")
        ours = f"{row['ours']:,}" + (f" {row['extra_params']:+,}" if row["extra_params"] else "")
        table.add_row(quantity, row["size"], str(row["classes"]), f"{row['published']:,}", ours, row["how"])
    return table


add_verb(app, "list", list_networks)
add_verb(app, "show", show)
add_verb(app, "notation", notation)
for _name, _command, _example in (
    ("cost", cost.command, "hwnas zoo cost bisenetv2 --auxiliary"),
    ("predict", predict.command, "hwnas zoo predict fast-scnn --table table.json"),
    ("draw", draw.command, "hwnas zoo draw pidnet-s -o pictures"),
    ("export", export.command, "hwnas zoo export enet --size 360x480 --classes 11 --random-weights -o engine"),
):
    add_verb(app, _name, _command, example=_example)
