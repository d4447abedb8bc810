"""What a cost is: a number for a network, and for whole populations of a space. One file a kind of cost.

Latency is one of several; searches limit and trade any of them by name. A cost that is a sum over nodes is priced for a
population by kernel and edge (:mod:`hwnas.latency.one_by_one` says how), any other genotype by genotype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from hwnas.errors import HwnasError
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.one_by_one import OneByOne, compiled
from hwnas.latency.population import Compiled, Pricing
from hwnas.latency.table import LatencyTable
from hwnas.registry import Registry
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions, SearchSpace

Floats = np.ndarray[Any, np.dtype[np.float64]]

BYTES_PER_VALUE: Mapping[str, int] = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}


@dataclass(frozen=True)
class OfMany:
    """Decisions of N genotypes → the cost of each, shape (N,)."""

    price: Callable[[Sequence[Decisions]], Floats]
    slow: bool
    """Whether every network is built, since the cost or the space cannot be tabulated."""

    def __call__(self, decisions: Sequence[Decisions]) -> Floats:
        return self.price(decisions)


class CostModel(Protocol):
    """One cost of networks, lower being better."""

    @property
    def name(self) -> str: ...

    def of(self, graph: OpGraph) -> float:
        """The cost of one network."""

    def over(self, population: Population) -> OfMany:
        """The same for any number of a space's genotypes at once; what it takes to compile is done here."""


@dataclass(frozen=True)
class CostSetting:
    """What costs may depend on beside the network."""

    table: LatencyTable | None = None
    precision: str = "fp32"

    @property
    def bytes_per_value(self) -> int:
        """Of weights and activations."""
        if self.precision not in BYTES_PER_VALUE:
            known = ", ".join(BYTES_PER_VALUE)
            raise HwnasError(f"how large a value is in {self.precision!r} is not known", f"it is for {known}")
        return BYTES_PER_VALUE[self.precision]


@dataclass(frozen=True)
class CostKind:
    """How a cost is called, what it is measured in, and how its model is made."""

    name: str
    """As in JSON and in limits; ends in its unit where it has one."""
    label: str
    """In words."""
    unit: str
    """``ms``, ``bytes``, or empty for counts."""
    make: Callable[[CostSetting], CostModel]
    needs_table: bool = False


COSTS: Registry[CostKind] = Registry("cost", "hwnas.latency.costs")


def register(kind: CostKind) -> CostKind:
    """Add a cost under its own name."""
    return COSTS.register(kind.name, kind)


def cost_kinds(setting: CostSetting) -> list[CostKind]:
    """All costs that can be told in ``setting``, by name: those that need a table only with one."""
    kinds = [COSTS.get(name) for name in COSTS.names()]
    return [kind for kind in kinds if setting.table is not None or not kind.needs_table]


def cost_model(name: str, setting: CostSetting) -> CostModel:
    """The cost called ``name``; one that needs a table is a HwnasError without it."""
    kind = COSTS.get(name)
    if kind.needs_table and setting.table is None:
        raise HwnasError(f"the cost {name} needs a latency table", "give one with --table")
    return kind.make(setting)


class Population:
    """A space at one size, as what costs of many genotypes are computed from. Its factors are learned once.

    A genotype for which a table has no price costs ``unpriced``; if that is None, asking for it raises TableError.
    """

    def __init__(
        self,
        space: SearchSpace,
        size_hw: tuple[int, int],
        classes: int,
        rng: np.random.Generator,
        *,
        unpriced: float | None = None,
    ) -> None:
        self.space = space
        self._size_hw = size_hw
        self._classes = classes
        self._rng = rng
        self._unpriced = unpriced
        self._learned: Compiled | None = None

    def graph(self, decisions: Decisions) -> OpGraph:
        """The op graph of one genotype."""
        return expand(self.space.decode(decisions).genotype, (3, *self._size_hw), self._classes)

    def sums(self, pricing: Pricing) -> OfMany:
        """Sums over the nodes (and edges) by ``pricing``, in whatever unit it prices in."""
        if self._learned is None:
            own = self._learned = compiled(pricing, self.space, self._size_hw, self._classes, self._rng)
        else:
            own = self._learned.repriced(pricing)
        return OfMany(partial(own.predict_many, unpriced=self._unpriced), slow=isinstance(own, OneByOne))

    def one_by_one(self, of: Callable[[OpGraph], float]) -> OfMany:
        """What is no sum over nodes: each graph is built."""

        def price(decisions: Sequence[Decisions]) -> Floats:
            return np.array([of(self.graph(each)) for each in decisions], dtype=np.float64)

        return OfMany(price, slow=True)


class PopulationCosts:
    """Several costs of a space's genotypes at once; ``of`` is what a search prices candidates by."""

    def __init__(self, models: Sequence[CostModel], population: Population) -> None:
        self._many = {model.name: model.over(population) for model in models}

    def of_many(self, decisions: Sequence[Decisions], names: Iterable[str] | None = None) -> dict[str, Floats]:
        """Cost → its values, shape (N,); of ``names``, or of all."""
        return {name: self._many[name](decisions) for name in (self._many if names is None else names)}

    def slow(self, name: str) -> bool:
        """Whether every network is built to tell that cost."""
        return self._many[name].slow

    def of(self, decisions: Decisions) -> dict[str, float]:
        """Cost → value of one genotype."""
        return {name: float(values[0]) for name, values in self.of_many([decisions]).items()}
