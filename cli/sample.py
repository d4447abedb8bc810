"""``hwnas sample``: random genotypes of a search space, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.options import (
    DEFAULT_CLASSES,
    DEFAULT_SIZE,
    ClassesOption,
    ForceOption,
    SizeOption,
    SpaceOption,
    parse_limits,
)
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import BudgetError

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from hwnas.latency.costs.base import PopulationCosts
    from hwnas.spaces.base import Decisions, SearchSpace

BATCH, MOST_DRAWS = 100, 20_000


@verb(example="hwnas sample --space realtime -n 5 --limit macs=2e9 --size 360x480 -o nets")
def command(
    shell: Shell,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the genotype files.")],
    space: SpaceOption = "realtime",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many genotypes.")] = 1,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="COST=NUMBER", help="At most this of a cost: macs, params, latency_ms, …"),
    ] = None,
    size: SizeOption = DEFAULT_SIZE,
    classes: ClassesOption = DEFAULT_CLASSES,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="TABLE", help="A latency table, to limit latency_ms by.")
    ] = None,
    force: ForceOption = False,
) -> Answer:
    """Draw random genotypes of a search space and write each as a JSON file.

    Size, classes and table are what limits are meant at; without a limit they change nothing.
    """
    import numpy as np

    from hwnas.ir.serialize import save_genotype
    from hwnas.spaces.base import SPACES

    source = SPACES.get(space)
    rng = np.random.default_rng(shell.seed)
    limits = parse_limits(limit or [])
    if limits:
        costs = _costs(source, limits, size, classes, table, force, np.random.default_rng([shell.seed, 1]))
        drawn, found = _within(source, costs, limits, count, rng)
    else:
        drawn, found = [source.sample(rng) for _ in range(count)], []
    paths = []
    for index, decisions in enumerate(drawn):
        name = f"{space}-{shell.seed}-{index:04d}"
        path = output / f"{name}.json"
        save_genotype(replace(source.decode(decisions).genotype, name=name), path)
        paths.append(path)
    document = {"space": space, "seed": shell.seed, "genotypes": paths, "costs": found}

    def text(console: Console) -> None:
        for index, path in enumerate(paths):
            told = [f"{name} {value:.6g}" for name, value in found[index].items()] if found else []
            console.print("  ".join([str(path), *told]), markup=False, soft_wrap=True)

    return Answer(document, text)


def _costs(
    space: SearchSpace,
    limits: Mapping[str, float],
    size: str,
    classes: int,
    table: Path | None,
    force: bool,
    rng: np.random.Generator,
) -> PopulationCosts:
    """What is limited, for the whole space."""
    from hwnas.cli.tables import check_usable_at
    from hwnas.latency.costs.base import CostSetting, Population, PopulationCosts, cost_model
    from hwnas.latency.table import load_table
    from hwnas.shapes import parse_size

    size_hw, setting = parse_size(size), CostSetting()
    if table is not None:
        measured = load_table(table)
        check_usable_at(measured, size_hw, force=force)
        setting = CostSetting(measured, measured.contract.precision)
    return PopulationCosts([cost_model(name, setting) for name in limits], Population(space, size_hw, classes, rng))


def _within(
    space: SearchSpace,
    costs: PopulationCosts,
    limits: Mapping[str, float],
    count: int,
    rng: np.random.Generator,
) -> tuple[Sequence[Decisions], list[dict[str, float]]]:
    """``count`` random decisions within all limits, and their costs."""
    kept: list[Decisions] = []
    found: list[dict[str, float]] = []
    least = {name: float("inf") for name in limits}
    for _ in range(MOST_DRAWS // BATCH):
        batch = [space.sample(rng) for _ in range(BATCH)]
        values = costs.of_many(batch)
        for index, decisions in enumerate(batch):
            cost = {name: float(values[name][index]) for name in limits}
            least = {name: min(least[name], value) for name, value in cost.items()}
            if len(kept) < count and all(cost[name] <= limits[name] for name in limits):
                kept.append(decisions)
                found.append(cost)
        if len(kept) == count:
            return kept, found
    lowest = ", ".join(f"{name} {value:.4g}" for name, value in least.items())
    raise BudgetError(
        f"of {MOST_DRAWS} random genotypes {len(kept)} are within the limits, not {count}",
        f"raise them; the lowest that were drawn: {lowest}",
    )
