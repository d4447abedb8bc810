"""The memory of activations at the most demanding moment. No sum over nodes: it depends on what is alive together."""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.compiler.cost import cost_of
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.costs.base import CostKind, OfMany, Population, register


@dataclass(frozen=True)
class PeakActivations:
    """Exact for the op graph's order of execution; see :func:`hwnas.compiler.cost.peak_activation_values`."""

    bytes_per_value: int

    name = "peak_activation_bytes"

    def of(self, graph: OpGraph) -> int:
        """Bytes of one network."""
        return cost_of(graph, bytes_per_value=self.bytes_per_value).peak_activation_bytes

    def over(self, population: Population) -> OfMany:
        """One graph after the other."""
        return population.one_by_one(self.of)


register(
    CostKind(
        "peak_activation_bytes",
        "peak activations",
        "bytes",
        lambda setting: PeakActivations(setting.bytes_per_value),
    )
)
