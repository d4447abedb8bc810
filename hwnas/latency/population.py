"""Latencies of whole populations: the table compiled over a space's factors, so that a genotype costs microseconds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from hwnas.errors import TableError
from hwnas.latency.context import Edge, edges_of
from hwnas.latency.factor import Described, Row, factorise
from hwnas.latency.keys import LatencyKey, keys_of
from hwnas.latency.plan import graph_of_row
from hwnas.shapes import Value
from hwnas.spaces.base import SearchSpace


class Pricing(Protocol):
    """What prices the parts of a network: a :class:`~hwnas.latency.model.TableModel`, or a bound of one."""

    @property
    def overhead_ms(self) -> float: ...

    def node_ms(self, key: LatencyKey) -> float: ...

    def edge_ms(self, edge: Edge) -> float: ...


class PopulationModel:
    """``predict_many`` for one space at one size; equal to ``TableModel.predict`` of each expanded genotype."""

    def __init__(
        self, model: Pricing, space: SearchSpace, size_hw: tuple[int, int], classes: int, rng: np.random.Generator
    ) -> None:
        self._unpriced: list[TableError] = []

        def describe(row: Row) -> Described:
            graph = graph_of_row(space, row, size_hw, classes)
            edges = {
                f"{consumer} {slot} {producer}": edge for (consumer, slot, producer), edge in edges_of(graph).items()
            }
            return {**keys_of(graph), **edges}

        def price(value: Hashable) -> float:
            if isinstance(value, Edge):
                return model.edge_ms(value)
            if not isinstance(value, LatencyKey):
                return 0.0
            try:
                return model.node_ms(value)
            except TableError as error:
                self._unpriced.append(error)
                return np.nan

        self._columns = [
            (choice.name, {option: i for i, option in enumerate(choice.options)}) for choice in space.choices
        ]
        self._overhead_ms = model.overhead_ms
        self._factors = factorise([len(choice.options) for choice in space.choices], describe, rng)
        self._prices = [np.array([price(value) for value in node.values])[node.table] for node in self._factors.nodes]

    def predict_many(self, decisions: Sequence[Mapping[str, Value]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Predicted p50 in milliseconds of each, shape (N,). Choices that are not active may be absent.

        Raises TableError if one of them needs a kernel that the table cannot price.
        """
        rows = np.zeros((len(decisions), len(self._columns)), dtype=np.int64)
        for column, (name, index) in enumerate(self._columns):
            rows[:, column] = [index[each[name]] if name in each else 0 for each in decisions]
        total = np.full(len(decisions), self._overhead_ms)
        for node, prices in zip(self._factors.nodes, self._prices, strict=True):
            places = rows[:, list(node.choices)] @ np.array(node.strides, dtype=np.int64)
            total += prices[places]
        if np.isnan(total).any():
            raise self._unpriced[0]
        return total
