"""A genotype: cells and the skeleton that puts them together. What is searched, shared and published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hwnas.ir.cell import Cell
from hwnas.shapes import Params

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Genotype:
    """``cells`` by role (``"stage1"``, ``"normal"``, …), the name of a ``skeleton`` and its parameters."""

    name: str
    skeleton: str
    cells: Mapping[str, Cell]
    params: Params = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        for attribute in ("cells", "params"):
            value = getattr(self, attribute)
            object.__setattr__(self, attribute, MappingProxyType({key: value[key] for key in sorted(value)}))

    def __hash__(self) -> int:
        return hash((self.name, self.skeleton, tuple(self.cells.items()), tuple(self.params.items())))
