"""What an op costs inside a network, as a linear model over what is known of a node: its time alone, bytes, neighbours.

An op timed alone pays layout reorders and session overhead that it does not pay in a network, and pays in one for what
its neighbours' layouts ask of it. So a node's latency is its time alone, corrected by terms for its family, its op, its
key, the bytes it moves and the kinds of op that feed it. All terms are linear, so whole nets can be fitted and whole
populations priced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwnas.ir.opgraph import OpGraph
from hwnas.latency.features import key_size
from hwnas.latency.keys import LatencyKey, keys_of
from hwnas.ops.spec import OPS

INPUT = "input"
"""What feeds a node that takes the image."""
GROUPS = ("family", "op", "key", "node", "in", "out", "edge", "net")
UNLIKE = frozenset({"merge", "context", "resize"})
"""Families whose ops have little in common in an engine; there the op itself stands for its kind."""
LEAST_SHARE = 0.02
"""A node is never priced below this share of its time alone."""


@dataclass(frozen=True)
class Place:
    """A node in its context: its key and the ops that feed it, in the order of its inputs."""

    key: LatencyKey
    producers: tuple[str, ...]


def places_of(graph: OpGraph) -> dict[str, Place]:
    """Node name → place, in execution order."""
    ops = {graph.input: INPUT, **{node.name: node.op for node in graph.nodes}}
    keys = keys_of(graph)
    return {node.name: Place(keys[node.name], tuple(ops[source] for source in node.inputs)) for node in graph.nodes}


def kind_of(op: str) -> str:
    """What an op is taken for by the terms that are shared between ops."""
    if op == INPUT:
        return INPUT
    family = OPS.get(op).family
    return op if family in UNLIKE else family


def terms_of(place: Place, alone_ms: float) -> dict[str, float]:
    """Term name → value for one node; names begin with their group. Bytes are in MB, times in ms."""
    key, size = place.key, key_size(place.key)
    family = kind_of(key.op)
    terms = {
        f"family:{family}": alone_ms,
        f"op:{key.op}": alone_ms,
        f"key:{key.text}": alone_ms,
        f"node:{family}": 1.0,
        f"in:{family}": size.input_bytes / 1e6,
        f"out:{family}": size.output_bytes / 1e6,
    }
    for producer, shape in zip(place.producers, key.input_shapes, strict=True):
        name = f"edge:{kind_of(producer)}>{family}"
        terms[name] = terms.get(name, 0.0) + 4e-6 * shape[0] * shape[1] * shape[2]
    return terms


def node_ms(place: Place, alone_ms: float, weights: Mapping[str, float]) -> float:
    """The latency of a node in its context, given the fitted ``weights`` of terms (absent ones are zero)."""
    value = alone_ms + sum(weights.get(name, 0.0) * amount for name, amount in terms_of(place, alone_ms).items())
    return max(value, LEAST_SHARE * alone_ms)
