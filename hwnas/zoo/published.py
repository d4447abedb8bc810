"""Figures that were published, or that the authors' own code gave, each with its source and how ours is counted.

``published/FAMILY.json`` holds a list of figures: ``id``, ``subject``, ``quantity``, ``value``, ``how``, ``source``,
perhaps ``input``, ``note`` and ``paper_value``, and one of

- ``build``: what to count, as in ``{"network": "bisenetv2", "size": [512, 1024], "classes": 19}``, perhaps with
  ``auxiliary`` (count the extra training heads, too), ``skeleton`` and ``params`` (in place of the genotype's),
  ``extra_params`` (parameters that the original alone has, as it never runs them; negative where it lacks some, as its
  BatchNorms are folded) and ``tolerance`` (relative); the ``note`` explains the last two;
- ``test``: the file below ``tests/`` that checks it, where ``cost_of`` cannot (a number of paths, a lookup table);
- ``reason``: why nothing of ours can be compared with it. Such figures are listed in ``docs/published.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.zoo.catalog import load

if TYPE_CHECKING:
    from hwnas.ir.opgraph import OpGraph


@dataclass(frozen=True)
class Build:
    """The network that a figure speaks of: a name of the zoo, its input, and what differs from the zoo's genotype."""

    network: str
    size_hw: tuple[int, int]
    classes: int
    auxiliary: bool = False
    skeleton: str = ""
    params: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    extra_params: int = 0
    tolerance: float = 0.0

    def genotype(self) -> Genotype:
        """The zoo's genotype with the skeleton and the parameters of this build."""
        found = load(self.network)
        params = {**found.params, **({"auxiliary": True} if self.auxiliary else {}), **self.params}
        return replace(found, skeleton=self.skeleton or found.skeleton, params=params)

    def graph(self) -> OpGraph:
        """The op graph of this build."""
        from hwnas.skeletons.base import expand

        return expand(self.genotype(), (3, *self.size_hw), self.classes)


@dataclass(frozen=True)
class Figure:
    """One published number; see the module's docstring."""

    id: str
    family: str
    subject: str
    quantity: str
    value: Any
    how: str
    source: str
    facts: Mapping[str, Any]
    build: Build | None = None
    test: str = ""
    reason: str = ""


@cache
def figures() -> tuple[Figure, ...]:
    """All figures of all families."""
    folder = Path(str(files("hwnas.zoo"))) / "published"
    return tuple(
        _figure(row, path.stem)
        for path in sorted(folder.glob("*.json"))
        for row in json.loads(path.read_text(encoding="utf-8"))
    )


def figures_of(network: str) -> list[Figure]:
    """The figures that speak of the zoo's ``network``."""
    return [figure for figure in figures() if figure.build is not None and figure.build.network == network]


def _figure(row: Mapping[str, Any], family: str) -> Figure:
    if sum(key in row for key in ("build", "test", "reason")) != 1:
        raise HwnasError(f"figure {row.get('id')} of {family} needs one of 'build', 'test' and 'reason'")
    build = row.get("build")
    return Figure(
        id=row["id"],
        family=family,
        subject=row["subject"],
        quantity=row["quantity"],
        value=row["value"],
        how=row["how"],
        source=row["source"],
        facts=MappingProxyType(dict(row)),
        build=None if build is None else _build(build),
        test=row.get("test", ""),
        reason=row.get("reason", ""),
    )


def _build(row: Mapping[str, Any]) -> Build:
    params = {key: tuple(value) if isinstance(value, list) else value for key, value in row.get("params", {}).items()}
    height, width = row["size"]
    rest = {key: row[key] for key in ("auxiliary", "skeleton", "extra_params", "tolerance") if key in row}
    return Build(row["network"], (height, width), row["classes"], params=MappingProxyType(params), **rest)
