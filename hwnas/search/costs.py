"""What candidates of a space cost before they are trained: latencies by tables, parameters, MACs, peak memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.errors import HwnasError, TableError
from hwnas.latency.costs.base import COSTS, CostModel, CostSetting, Population, PopulationCosts, cost_model
from hwnas.latency.costs.predicted import PredictedLatency
from hwnas.latency.model import TableModel
from hwnas.spaces.base import Decisions, SearchSpace

Floats = np.ndarray[Any, np.dtype[np.float64]]

LATENCY = "latency_ms"
ALWAYS = ("params", "macs")
"""Counted as fast as latencies are summed, and so known of every candidate."""


class SearchCosts:
    """Prices candidates by name; every candidate once.

    ``tables`` maps names to latency tables, the first being that of the device that is deployed to: its cost is called
    ``latency_ms``, the others' ``latency_ms@NAME``. ``needed`` are further costs that an objective reads. What a table
    can price neither by measurement nor by interpolation is infinite, and so over every limit: a profile that was cut
    short narrows the search.
    """

    def __init__(
        self,
        space: SearchSpace,
        size_hw: tuple[int, int],
        classes: int,
        tables: Mapping[str, TableModel],
        rng: np.random.Generator,
        needed: Iterable[str] = (),
    ) -> None:
        latencies = latency_names(tables)
        first = next(iter(tables.values()), None)
        setting = CostSetting() if first is None else CostSetting(first.table, first.table.contract.precision)
        names = dict.fromkeys((*latencies, *ALWAYS, *(name for name in needed if is_cost(name))))
        models: list[CostModel] = []
        for name in names:
            if name in latencies:
                models.append(PredictedLatency(tables[latencies[name]], name))
            elif name.partition("@")[0] == LATENCY:
                known = ", ".join(latencies) or "none"
                raise HwnasError(f"{name} cannot be told: no latency table of that name was given", f"known: {known}")
            else:
                models.append(cost_model(name, setting))
        self.names = tuple(names)
        self._population = Population(space, size_hw, classes, rng, unpriced=math.inf)
        self._models = models
        self._costs = PopulationCosts(models, self._population)
        self._known: dict[tuple[tuple[str, Any], ...], Mapping[str, float]] = {}

    def of(self, decisions: Decisions) -> Mapping[str, float]:
        """Cost → value of canonical decisions; remembered."""
        key = tuple(decisions.items())
        if key not in self._known:
            self._known[key] = {name: float(values[0]) for name, values in self.of_many([decisions]).items()}
        return self._known[key]

    def of_many(self, decisions: Sequence[Decisions], names: Iterable[str] | None = None) -> dict[str, Floats]:
        """Cost → values, shape (N,), of ``names``, or of all; infinite where a table has no price."""
        return self._costs.of_many(decisions, self.names if names is None else names)

    def slow(self, name: str) -> bool:
        """Whether every network is built to tell that cost: of spaces that cannot be tabulated, or of all."""
        return self._costs.slow(name)

    def why_unpriced(self, decisions: Decisions) -> TableError | None:
        """What a table lacks for a candidate, if one lacks anything."""
        graph = self._population.graph(decisions)
        for model in self._models:
            try:
                model.of(graph)
            except TableError as error:
                return error
        return None


def latency_names(tables: Iterable[str]) -> dict[str, str]:
    """What the latency by each table is called → the table's name."""
    return {LATENCY if index == 0 else f"{LATENCY}@{name}": name for index, name in enumerate(tables)}


def is_cost(name: str) -> bool:
    """Whether a metric is known without training."""
    return name.partition("@")[0] in COSTS
