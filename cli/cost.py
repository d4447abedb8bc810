"""``hwnas cost``: parameters, multiply-accumulates and peak memory of a network, and with a table its latency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import (
    ForceOption,
    GenotypeArgument,
    KnownClassesOption,
    KnownSizeOption,
    graph_of,
    input_of,
)
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.ir.opgraph import OpGraph
    from hwnas.latency.costs.base import CostSetting


@verb(example="hwnas cost fast-scnn --size 360x480 --classes 11")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    size: KnownSizeOption = None,
    classes: KnownClassesOption = None,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="TABLE", help="A latency table: latency is a cost, too.")
    ] = None,
    force: ForceOption = False,
) -> Answer:
    """Count a network's parameters, multiply-accumulates and peak activation memory."""
    from hwnas.cli.tables import check_usable_at
    from hwnas.ir.passes.without_auxiliary import without_auxiliary
    from hwnas.latency.costs.base import CostSetting
    from hwnas.latency.table import load_table

    found, graph = graph_of(genotype, size, classes, network)
    size, classes = input_of(graph)
    setting = CostSetting()
    if table is not None:
        measured = load_table(table)
        _, height, width = graph.shape(graph.input)
        check_usable_at(measured, (height, width), force=force)
        setting = CostSetting(measured, measured.contract.precision)
    costs = costs_of(without_auxiliary(graph), setting)
    if network.auxiliary:  # nodes without a reader count; latency stays that of what is deployed
        costs |= costs_of(replace(graph, auxiliary=()), CostSetting(precision=setting.precision))
    document = {"genotype": found.name, "size": size, "classes": classes, "precision": setting.precision, **costs}

    def text(console: Console) -> None:
        console.print(f"{found.name} at {size}, {classes} classes", markup=False)
        print_costs(console, costs, setting.precision)

    return Answer(document, text)


def costs_of(graph: OpGraph, setting: CostSetting) -> dict[str, float]:
    """Every cost that can be told of a network, by name."""
    from hwnas.latency.costs.base import cost_kinds

    return {kind.name: kind.make(setting).of(graph) for kind in cost_kinds(setting)}


def print_costs(console: Console, costs: dict[str, float], precision: str) -> None:
    """A line for each cost."""
    from hwnas.latency.costs.base import COSTS

    for name, value in costs.items():
        kind = COSTS.get(name)
        if kind.unit == "bytes":
            label, amount = f"{kind.label} ({precision})", f"{value / 2**20:>12.2f} MiB"
        elif kind.unit:
            label, amount = kind.label, f"{value:>12.2f} {kind.unit}"
        else:
            large = f"   ({value / 1e9:.3f} G)" if value >= 1e8 else ""
            label, amount = kind.label, f"{value:>16,}{large}"
        console.print(f"  {label:<24}{amount}", markup=False)
