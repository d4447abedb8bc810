"""Latency of a network from a table, with its parts and an interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwnas.errors import TableError
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.calibrate import Example
from hwnas.latency.context import Edge, edge_terms, edges_of, own_ms, weighted
from hwnas.latency.features import key_size
from hwnas.latency.interpolate import Interpolator
from hwnas.latency.keys import LatencyKey, keys_of
from hwnas.latency.table import LatencyTable

CONFIDENCE = 0.9
FREE_OPS = frozenset({"skip_connect"})
"""Identities, which engines remove."""


@dataclass(frozen=True)
class NodeLatency:
    """What one node adds to the network's latency. ``source`` is ``measured``, ``interpolated`` or ``free``."""

    name: str
    op: str
    key: str
    latency_ms: float
    source: str


@dataclass(frozen=True)
class Prediction:
    """Predicted p50 of a network in the table's setting: the nodes' latencies plus ``overhead_ms``."""

    latency_ms: float
    interval_ms: tuple[float, float]
    nodes: tuple[NodeLatency, ...]
    overhead_ms: float
    """What belongs to the network as a whole and to no node."""

    @property
    def interpolated(self) -> tuple[str, ...]:
        """Names of the nodes that were not measured."""
        return tuple(node.name for node in self.nodes if node.source == "interpolated")


class TableModel:
    """Prices op graphs by a table; pure but for a cache."""

    def __init__(self, table: LatencyTable) -> None:
        self.table = table
        self._alone: dict[LatencyKey, tuple[float, str]] = {}
        self._interpolator = Interpolator({text: entry.ms for text, entry in table.entries.items()})

    @property
    def overhead_ms(self) -> float:
        """What a run costs beside its nodes."""
        return self.table.calibration.weights.get("net:", 0.0)

    def alone(self, key: LatencyKey) -> tuple[float, str]:
        """Time of a kernel alone in milliseconds, and whether it was measured or interpolated."""
        if key not in self._alone:
            entry = self.table.entries.get(key.text)
            if _is_free(key):
                self._alone[key] = (0.0, "free")
            elif entry is not None:
                self._alone[key] = (entry.ms, "measured")
            else:
                self._alone[key] = (self._interpolator.ms(key), "interpolated")
        return self._alone[key]

    def node_ms(self, key: LatencyKey) -> float:
        """Latency of a node inside a net, but for what its edges add."""
        alone_ms, source = self.alone(key)
        return 0.0 if source == "free" else own_ms(key, alone_ms, self.table.calibration.weights)

    def edge_ms(self, edge: Edge) -> float:
        """What an edge adds, such as a reorder of the layout."""
        return weighted(edge_terms(edge), self.table.calibration.weights)

    def predict(self, graph: OpGraph, *, confidence: float = CONFIDENCE) -> Prediction:
        """Latency, interval and breakdown of a network.

        Raises TableError for a node that was not measured and is too far from all that were.
        """
        added: dict[str, float] = {}
        for (name, _, _), edge in edges_of(graph).items():
            added[name] = added.get(name, 0.0) + self.edge_ms(edge)
        nodes = tuple(self._node(name, key, added.get(name, 0.0)) for name, key in keys_of(graph).items())
        total = sum(node.latency_ms for node in nodes) + self.overhead_ms
        return Prediction(total, self.interval(total, confidence), nodes, self.overhead_ms)

    def _node(self, name: str, key: LatencyKey, edges_ms: float) -> NodeLatency:
        try:
            latency_ms, source = self.node_ms(key), self.alone(key)[1]
        except TableError as error:
            raise TableError(f"node {name!r}: {error.message}", error.hint) from error
        return NodeLatency(name, key.op, key.text, latency_ms + edges_ms, source)

    def interval(self, latency_ms: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The interval that holds the measured p50 with ``confidence``, by the residuals of unseen nets."""
        low, high = residual_bounds(self.table.calibration.residuals, confidence)
        return latency_ms / (1.0 - low), latency_ms / (1.0 - high)

    def upper_ratio(self, confidence: float) -> float:
        """The upper end of the interval ÷ the prediction; never below 1."""
        return max(1.0, self.interval(1.0, confidence)[1])

    def at_percentile(self, latency_ms: float, percentile: str) -> float:
        """p50 turned into ``p90`` or ``p99`` by their ratio on whole nets; ``p50`` is returned as it is."""
        if percentile == "p50":
            return latency_ms
        ratios: Mapping[str, float] = self.table.percentiles
        if percentile not in ratios:
            raise TableError(f"the latency table does not say {percentile}", "profile again with calibration nets")
        return latency_ms * ratios[percentile]


def example_of(model: TableModel, graph: OpGraph, measured_ms: float) -> Example:
    """A measured net as calibration takes it; a TableError where a node is neither measured nor near what is."""
    alone = [(key, *model.alone(key)) for key in keys_of(graph).values()]
    nodes = tuple((key, alone_ms) for key, alone_ms, source in alone if source != "free")
    return Example(measured_ms, nodes, tuple(edges_of(graph).values()))


def residual_bounds(residuals: tuple[float, ...], confidence: float) -> tuple[float, float]:
    """Relative residuals that ``confidence`` of unseen nets lie between, on the safe side for few of them.

    Without any the bounds are ±25%, the naive sum's error.
    """
    if not residuals:
        return -0.25, 0.25
    ordered = sorted(residuals)
    tail = (1.0 - confidence) / 2.0
    reach = math.floor(tail * (len(ordered) + 1)) - 1
    if reach < 0:  # too few residuals for that confidence: go a little beyond the outermost
        return min(1.5 * ordered[0], 0.0), min(max(1.5 * ordered[-1], 0.0), 0.9)
    return ordered[reach], min(ordered[-1 - reach], 0.9)


def _is_free(key: LatencyKey) -> bool:
    if key.op not in FREE_OPS:
        return False
    size = key_size(key)
    return size.input_bytes == size.output_bytes
