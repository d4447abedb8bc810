"""Populations of spaces whose nodes depend on too many choices to be tabulated: genotype by genotype, remembered.

A path through resolutions or the use of a cell's states is such a dependency. What a genotype is made of is found by
expanding it, once; the prices of kernels and edges are looked up, so that another pricing costs no expanding again.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from hwnas.errors import TableError
from hwnas.latency.context import edges_of
from hwnas.latency.factor import NotFactored
from hwnas.latency.keys import keys_of
from hwnas.latency.population import Compiled, Floats, Ints, PopulationModel, Pricing, prices_of
from hwnas.shapes import Value
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SearchSpace
from hwnas.spaces.decisions import canonical

REMEMBERED = 20_000
"""Genotypes whose parts are kept: some hundred bytes each."""


def compiled(
    model: Pricing, space: SearchSpace, size_hw: tuple[int, int], classes: int, rng: np.random.Generator
) -> Compiled:
    """The latencies of one space at one size: tabulated where that can be done, else genotype by genotype."""
    try:
        return PopulationModel(model, space, size_hw, classes, rng)
    except NotFactored:
        return OneByOne(model, space, size_hw, classes)


class OneByOne:
    """As :class:`PopulationModel`, for any space."""

    def __init__(self, model: Pricing, space: SearchSpace, size_hw: tuple[int, int], classes: int) -> None:
        self._model = model
        self._space = space
        self._size_hw = size_hw
        self._classes = classes
        self._values: dict[Hashable, int] = {}
        """Every kernel and edge met, in order; a genotype is the numbers of its parts."""
        self._parts: OrderedDict[tuple[tuple[str, Value], ...], Ints] = OrderedDict()
        self._ms: Floats = np.empty(0)
        self._unpriced: dict[Hashable, TableError] = {}

    def repriced(self, model: Pricing) -> OneByOne:
        """The same space at the same size by another pricing; what is remembered of genotypes is shared."""
        twin = copy.copy(self)
        twin._model, twin._ms, twin._unpriced = model, np.empty(0), {}
        return twin

    def predict_many(self, decisions: Sequence[Mapping[str, Value]], *, unpriced: float | None = None) -> Floats:
        """As :meth:`PopulationModel.predict_many`."""
        rows = [self._parts_of(each) for each in decisions]
        ms = self._prices()
        total = np.array([ms[row].sum() for row in rows], dtype=np.float64) + self._model.overhead_ms
        without = np.flatnonzero(np.isnan(total))
        if len(without) and unpriced is None:
            values = list(self._values)
            raise next(self._unpriced[values[i]] for i in rows[without[0]] if values[i] in self._unpriced)
        total[without] = np.nan if unpriced is None else unpriced
        return total

    def _parts_of(self, decisions: Mapping[str, Value]) -> Ints:
        known = tuple(canonical(self._space, decisions).items())
        if known in self._parts:
            self._parts.move_to_end(known)
            return self._parts[known]
        graph = expand(self._space.decode(decisions).genotype, (3, *self._size_hw), self._classes)
        values = [*keys_of(graph).values(), *edges_of(graph).values()]
        parts = np.array([self._values.setdefault(value, len(self._values)) for value in values], dtype=np.int64)
        self._parts[known] = parts
        if len(self._parts) > REMEMBERED:
            self._parts.popitem(last=False)
        return parts

    def _prices(self) -> Floats:
        """Milliseconds of every part met so far; NaN where the pricing has none."""
        if len(self._ms) < len(self._values):
            new = list(self._values)[len(self._ms) :]
            prices, unpriced = prices_of(self._model, new)
            self._ms = np.append(self._ms, [prices[value] for value in new])
            self._unpriced |= unpriced
        return self._ms
