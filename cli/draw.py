"""``hwnas draw``: pictures of a network and its cells."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import ForceOption, GenotypeArgument, KnownClassesOption, KnownSizeOption, graph_of, input_of
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.ir.genotype import Genotype
    from hwnas.ir.opgraph import OpGraph
    from hwnas.latency.table import LatencyTable


class Detail(StrEnum):
    """How much of a network is drawn."""

    auto = "auto"
    nodes = "nodes"
    groups = "groups"


@verb(example="hwnas draw fast-scnn --size 360x480 --classes 11 -o pictures")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the pictures.")],
    size: KnownSizeOption = None,
    classes: KnownClassesOption = None,
    colour: Annotated[
        str | None,
        typer.Option("--color", metavar="WHAT", help="Colour ops by family, macs, params, or latency (with --table)."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE", help="Colour by latency, at this table's size.")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="LIST", help="Of svg, png, dot (the source) and pdf, joined by commas.")
    ] = "svg,png",
    detail: Annotated[
        Detail, typer.Option("--detail", help="Draw every node of the network, or a box for each group; auto: by size.")
    ] = Detail.auto,
    diff: Annotated[
        str | None, typer.Option("--diff", metavar="OTHER", help="Draw this genotype beside it, differences marked.")
    ] = None,
    receptive_field: Annotated[
        str | None,
        typer.Option(
            "--receptive-field",
            metavar="NODE",
            help="Also measure how far NODE sees in an untrained network, and draw it; auto: the deepest features.",
        ),
    ] = None,
    force: ForceOption = False,
) -> Answer:
    """Draw a network, each of its cells and its path through resolutions; or two genotypes side by side."""
    from hwnas.cli.tables import check_usable_at
    from hwnas.latency.table import classes_of
    from hwnas.report.dot import check_picture_folder
    from hwnas.report.draw import draw_genotype
    from hwnas.report.values import values_of

    check_picture_folder(output, "--format")
    if diff is not None:
        ignored = ("colour", "table", "force", "detail", "receptive_field")
        shell.refuse(*ignored, why="--diff colours by what differs", hint="draw each network by itself for that")
    measured = _load(table)
    if measured is not None:
        size = size or "{}x{}".format(*measured.contract.size_hw)
        classes = classes or classes_of(measured)
    found, graph = graph_of(genotype, size, classes, network)
    if measured is not None:
        check_usable_at(measured, graph.shape(graph.input)[1:], force=force)
    size, classes = input_of(graph)
    wanted = tuple(filter(None, (part.strip() for part in formats.split(","))))
    if diff is not None:
        return _draw_difference(shell, (found, graph), graph_of(diff, size, classes, network), output, wanted)
    values = values_of(graph, colour or ("latency" if table else "family"), measured)
    with shell.progress.task(f"draw {found.name}", 1):
        paths = draw_genotype(
            found,
            graph,
            output,
            formats=wanted,
            values=values.of if values else None,
            cell_values={role: values.in_cell(found, role, graph) for role in found.cells} if values else None,
            unit=values.unit if values else "",
            detail=detail,
        )
    document: dict[str, object] = {"genotype": found.name, "size": size, "classes": classes, "pictures": paths}
    if receptive_field is not None:
        picture, document["receptive_field"] = _draw_field(graph, receptive_field, output, found.name)
        document["pictures"] = paths = (*paths, picture)
    return Answer(document, lambda console: _print_paths(console, paths))


def _draw_field(graph: OpGraph, node: str, output: Path, title: str) -> tuple[Path, dict[str, object]]:
    """The picture of how far a node sees, and what there is to say of it."""
    from hwnas.report.receptive_field import draw_receptive_field, measure_receptive_field

    field = measure_receptive_field(graph, "" if node == "auto" else node)
    path = output / f"receptive-field-{field.node.replace('/', '-')}.png"
    picture = draw_receptive_field(field, path, title=title)
    return picture, {"node": field.node, "side_px": round(field.side_px, 1)}


def _load(table: Path | None) -> LatencyTable | None:
    from hwnas.latency.table import load_table

    return None if table is None else load_table(table)


def _draw_difference(
    shell: Shell,
    left: tuple[Genotype, OpGraph],
    right: tuple[Genotype, OpGraph],
    output: Path,
    formats: tuple[str, ...],
) -> Answer:
    """The pictures of ``--diff``, and what differs in words."""
    from hwnas.report.diff import differences, differing_params, draw_differences

    with shell.progress.task(f"draw {left[0].name} and {right[0].name}", 1):
        paths = draw_differences(left, right, output, formats=formats)
    size, classes = input_of(left[1])
    params, cells = differing_params(left[0], right[0]), differences(left[0], right[0])
    missing = [role for role in (*left[0].cells, *right[0].cells) if role not in cells]
    document = {
        "genotype": left[0].name,
        "other": right[0].name,
        "size": size,
        "classes": classes,
        "pictures": paths,
        "params": params,
        "only_one_has": missing,
        "cells": cells,
    }

    def text(console: Console) -> None:
        for sentence in params:
            console.print(sentence, markup=False, soft_wrap=True)
        for role, found in cells.items():
            counts = f"{len(found.changed)} changed, {len(found.removed)} removed, {len(found.added)} added"
            said = "the same" if found.equal else f"{len(found.same)} nodes the same, {counts}"
            console.print(f"cell {role}: {said}", markup=False, soft_wrap=True)
        for role in missing:
            console.print(f"cell {role}: only one of them has it", markup=False, soft_wrap=True)
        _print_paths(console, paths)

    return Answer(document, text)


def _print_paths(console: Console, paths: Sequence[Path]) -> None:
    for path in paths:
        console.print(str(path), markup=False, soft_wrap=True)
