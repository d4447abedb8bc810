"""Costs that are counted and add up over nodes: parameters, multiply-accumulates, bytes of weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwnas.compiler.cost import Cost, cost_of
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.context import Edge
from hwnas.latency.costs.base import CostKind, OfMany, Population, register
from hwnas.latency.keys import LatencyKey
from hwnas.ops.spec import OPS


@dataclass(frozen=True)
class Count:
    """Whole numbers, summed over the nodes; exact below 2**53."""

    name: str
    of_node: Callable[[LatencyKey], int]
    of_network: Callable[[Cost], int]

    def of(self, graph: OpGraph) -> int:
        """The count of a network."""
        return self.of_network(cost_of(graph))

    def over(self, population: Population) -> OfMany:
        """By the space's factors."""
        return population.sums(self)

    # as a pricing: populations are summed as latencies are, in this unit instead of ms

    @property
    def overhead_ms(self) -> float:
        """Only nodes count."""
        return 0.0

    def node_ms(self, key: LatencyKey) -> float:
        """The count of one node."""
        return float(self.of_node(key))

    def edge_ms(self, edge: Edge) -> float:
        """Only nodes count."""
        return 0.0


def _macs(key: LatencyKey) -> int:
    return OPS.get(key.op).macs(key.input_shapes, key.params)


def _params(key: LatencyKey) -> int:
    return OPS.get(key.op).weights(key.input_shapes, key.params)


def _weight_bytes(bytes_per_value: int) -> Count:
    return Count(
        "weight_bytes",
        lambda key: bytes_per_value * _params(key),
        lambda cost: bytes_per_value * cost.params,
    )


register(CostKind("params", "parameters", "", lambda _: Count("params", _params, lambda cost: cost.params)))
register(CostKind("macs", "multiply-accumulates", "", lambda _: Count("macs", _macs, lambda cost: cost.macs)))
register(CostKind("weight_bytes", "weights", "bytes", lambda setting: _weight_bytes(setting.bytes_per_value)))
