"""What an op costs inside a network, as a linear model over what is known of a node: its time alone, bytes, neighbours.

An op timed alone pays layout reorders and session overhead that it does not pay in a network, and pays in one for what
its neighbours' layouts ask of it. So a node's latency is its time alone, corrected by terms for all ops, for its
family, its op, its key, the bytes it moves and the kinds of op that feed it. All terms are linear, so whole nets can be
fitted and whole populations priced; but a node stays between two shares of its time alone, so that fitting nets, in
which one op's error can hide another's, cannot make of it what it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwnas.ir.opgraph import OpGraph
from hwnas.latency.features import key_size
from hwnas.latency.keys import LatencyKey
from hwnas.ops.spec import OPS

INPUT = "input"
"""What feeds a node that takes the image."""
GROUPS = ("all", "family", "op", "key", "node", "bytes", "in", "out", "edge", "net")
UNLIKE = frozenset({"merge", "context", "resize"})
"""Families whose ops have little in common in an engine; there the op itself stands for its kind."""
LEAST_SHARE, MOST_SHARE = 1 / 7, 1.5
"""A node is priced between these shares of its time alone (its edges aside). Alone ÷ in a chain was measured up to 7,
for depthwise convolutions in OpenVINO; that a net's cold caches cost more than half again has not been seen."""


@dataclass(frozen=True)
class Edge:
    """One input of a node: the kinds of op at both ends, and how many MB (at 32 bits) go over it."""

    producer: str
    consumer: str
    megabytes: float


def kind_of(op: str) -> str:
    """What an op is taken for by the terms that are shared between ops."""
    if op == INPUT:
        return INPUT
    family = OPS.get(op).family
    return op if family in UNLIKE else family


def edges_of(graph: OpGraph) -> dict[tuple[str, int, str], Edge]:
    """(consumer, slot, producer) → edge, for every input of every node."""
    kinds = {graph.input: INPUT, **{node.name: kind_of(node.op) for node in graph.nodes}}
    return {
        (node.name, slot, source): Edge(kinds[source], kinds[node.name], 4e-6 * math.prod(graph.shape(source)))
        for node in graph.nodes
        for slot, source in enumerate(node.inputs)
    }


def own_terms(key: LatencyKey, alone_ms: float) -> dict[str, float]:
    """Term name → value for a node but for its edges; names begin with their group. Bytes are in MB, times in ms."""
    size, kind = key_size(key), kind_of(key.op)
    return {
        "all:": alone_ms,
        f"family:{kind}": alone_ms,
        f"op:{key.op}": alone_ms,
        f"key:{key.text}": alone_ms,
        f"node:{kind}": 1.0,
        "bytes:": (size.input_bytes + size.output_bytes) / 1e6,
        f"in:{kind}": size.input_bytes / 1e6,
        f"out:{kind}": size.output_bytes / 1e6,
    }


def edge_terms(edge: Edge) -> dict[str, float]:
    """Term name → value for an edge."""
    return {f"edge:{edge.producer}>{edge.consumer}": edge.megabytes}


def own_ms(key: LatencyKey, alone_ms: float, weights: Mapping[str, float]) -> float:
    """A node's latency in a net but for its edges, given the fitted ``weights`` of terms (absent ones are zero)."""
    ms = alone_ms + weighted(own_terms(key, alone_ms), weights)
    return min(max(ms, LEAST_SHARE * alone_ms), MOST_SHARE * alone_ms)


def weighted(terms: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The sum of terms by their weights."""
    return sum(weights.get(name, 0.0) * amount for name, amount in terms.items())
