"""What a budget asks of a latency table, before anything was timed.

A wide space can need more kernels than a short run has time for. A network of M multiply-accumulates takes at least M ÷
the engine's peak rate; genotypes that are over the budget even then need no table. Profiling is led by the others: the
kernels that they need most come first, and they are the nets that it calibrates on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwnas.latency.context import Edge
from hwnas.latency.keys import LatencyKey
from hwnas.latency.one_by_one import compiled
from hwnas.ops.spec import OPS
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import random_decisions

BATCH = 256
LEAST_RATE = 0.002
"""Where fewer random genotypes than this are within reach, the nearest ones have to do."""


class Ceiling:
    """A latency model that no engine beats: multiply-accumulates at the peak rate, everything else free."""

    overhead_ms = 0.0

    def __init__(self, macs_per_ms: float) -> None:
        self._macs_per_ms = macs_per_ms

    def edge_ms(self, edge: Edge) -> float:
        """Least time of handing a feature map on."""
        return 0.0

    def node_ms(self, key: LatencyKey) -> float:
        """Least time of a node."""
        return OPS.get(key.op).macs(key.input_shapes, key.params) / self._macs_per_ms


def within_reach(
    space: SearchSpace, size_hw: tuple[int, int], classes: int, *, macs_per_ms: float, limit_ms: float, seed: int
) -> Iterator[Decisions]:
    """Random decisions, choice by choice, that could be had within ``limit_ms`` at ``macs_per_ms``; without end."""
    rng = np.random.default_rng([seed, 5])
    bounds = compiled(Ceiling(macs_per_ms), space, size_hw, classes, rng)
    while True:
        drawn = [random_decisions(space, rng) for _ in range(BATCH)]
        least_ms = bounds.predict_many(drawn)
        limit = max(limit_ms, float(np.quantile(least_ms, LEAST_RATE)))
        yield from (drawn[i] for i in np.flatnonzero(least_ms <= limit))
