"""Latencies of whole populations: the table compiled over a space's factors, so that a genotype costs microseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.latency.context import Place, places_of
from hwnas.latency.factor import Described, Row, factorise
from hwnas.latency.model import TableModel
from hwnas.latency.plan import graph_of_row
from hwnas.shapes import Value
from hwnas.spaces.base import SearchSpace


class PopulationModel:
    """``predict_many`` for one space at one size; equal to ``TableModel.predict`` of each expanded genotype."""

    def __init__(
        self, model: TableModel, space: SearchSpace, size_hw: tuple[int, int], classes: int, rng: np.random.Generator
    ) -> None:
        def describe(row: Row) -> Described:
            return places_of(graph_of_row(space, row, size_hw, classes))

        self._columns = [
            (choice.name, {option: i for i, option in enumerate(choice.options)}) for choice in space.choices
        ]
        self._overhead_ms = model.overhead_ms
        self._factors = factorise([len(choice.options) for choice in space.choices], describe, rng)
        self._prices = [
            np.array([model.place_ms(value) if isinstance(value, Place) else 0.0 for value in node.values])[node.table]
            for node in self._factors.nodes
        ]

    def predict_many(self, decisions: Sequence[Mapping[str, Value]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Predicted p50 in milliseconds of each, shape (N,). Choices that are not active may be absent."""
        rows = np.zeros((len(decisions), len(self._columns)), dtype=np.int64)
        for column, (name, index) in enumerate(self._columns):
            rows[:, column] = [index[each[name]] if name in each else 0 for each in decisions]
        total = np.full(len(decisions), self._overhead_ms)
        for node, prices in zip(self._factors.nodes, self._prices, strict=True):
            places = rows[:, list(node.choices)] @ np.array(node.strides, dtype=np.int64)
            total += prices[places]
        return total
