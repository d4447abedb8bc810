"""Latency as a cost among others: the median that a table predicts."""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.ir.opgraph import OpGraph
from hwnas.latency.costs.base import CostKind, CostModel, CostSetting, OfMany, Population, register
from hwnas.latency.model import TableModel


@dataclass(frozen=True)
class PredictedLatency:
    """Milliseconds in the table's setting. Raises TableError for what the table cannot price."""

    model: TableModel
    name: str = "latency_ms"

    def of(self, graph: OpGraph) -> float:
        """Predicted p50 of one network."""
        return self.model.predict(graph).latency_ms

    def over(self, population: Population) -> OfMany:
        """By the space's factors."""
        return population.sums(self.model)


def _made(setting: CostSetting) -> CostModel:
    assert setting.table is not None  # cost_model has seen to it
    return PredictedLatency(TableModel(setting.table))


register(CostKind("latency_ms", "predicted latency", "ms", _made, needs_table=True))
