"""What a search space is: named choices and how decisions become a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np

from hwnas.ir.genotype import Genotype
from hwnas.registry import Registry
from hwnas.shapes import Value

Decisions = Mapping[str, Value]
"""Choice name → chosen option."""


@dataclass(frozen=True)
class Choice:
    """A named decision. It is active only if every choice named in ``active_if`` has one of the listed options."""

    name: str
    options: tuple[Value, ...]
    active_if: Mapping[str, tuple[Value, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Candidate:
    """An architecture and how to train it; both are searched."""

    genotype: Genotype
    recipe: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))


class SearchSpace(Protocol):
    """Choices and the way from decisions to a candidate. ``decode`` ignores choices that are not active."""

    @property
    def name(self) -> str: ...

    @property
    def choices(self) -> Sequence[Choice]: ...

    def decode(self, decisions: Decisions) -> Candidate: ...

    def sample(self, rng: np.random.Generator) -> dict[str, Value]: ...


SPACES: Registry[SearchSpace] = Registry("search space", "hwnas.spaces")
