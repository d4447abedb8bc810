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
from hwnas.spaces.base import Decisions

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

    def __init__(self, population: Population, tables: Mapping[str, TableModel], needed: Iterable[str] = ()) -> None:
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
        self._costs = PopulationCosts(models, population)
        self._known: dict[tuple[tuple[str, Any], ...], Mapping[str, float]] = {}
        self.unpriced: TableError | None = None
        """Why some candidate could not be priced, if one could not."""

    def of(self, decisions: Decisions) -> Mapping[str, float]:
        """Cost → value of canonical decisions; remembered."""
        key = tuple(decisions.items())
        if key not in self._known:
            self._known[key] = self._one(decisions)
        return self._known[key]

    def of_many(self, decisions: Sequence[Decisions], names: Iterable[str] | None = None) -> dict[str, Floats]:
        """Cost → values, shape (N,), of ``names``, or of all; infinite where a table has no price."""
        wanted = tuple(self.names if names is None else names)
        try:
            return self._costs.of_many(decisions, wanted)
        except TableError:
            rows = [self._one(each, wanted) for each in decisions]
            return {name: np.array([row[name] for row in rows]) for name in wanted}

    def _one(self, decisions: Decisions, names: Sequence[str] | None = None) -> dict[str, float]:
        found: dict[str, float] = {}
        for name in self.names if names is None else names:
            try:
                found[name] = float(self._costs.of_many([decisions], (name,))[name][0])
            except TableError as error:
                self.unpriced = error
                found[name] = math.inf
        return found


def latency_names(tables: Iterable[str]) -> dict[str, str]:
    """What the latency by each table is called → the table's name."""
    return {LATENCY if index == 0 else f"{LATENCY}@{name}": name for index, name in enumerate(tables)}


def is_cost(name: str) -> bool:
    """Whether a metric is known without training."""
    return name.partition("@")[0] in COSTS
