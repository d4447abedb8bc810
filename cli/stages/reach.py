"""What a budget leaves of a space, before anything was timed: from the fastest that this machine can multiply.

Profiling all that a wide space can need takes longer than most budgets deserve. A network of M multiply-accumulates
takes at least M ÷ the engine's peak rate; what is over the budget even then need not be timed, trained or searched.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwnas.latency.context import Edge
from hwnas.latency.keys import LatencyKey
from hwnas.latency.population import PopulationModel
from hwnas.ops.spec import OPS
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.narrowed import NarrowedSpace, options_in_use
from hwnas.supernet.paths import WithinBudget

SAMPLES = 400
MIN_SHARE = 0.01
"""Options that fewer of the samples have are given up."""


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


def narrow_to(space: SearchSpace, price: Callable[[Decisions], float], limit_ms: float, seed: int) -> SearchSpace:
    """``space`` with the options that genotypes priced at ``limit_ms`` or less have.

    Raises BudgetError, with the lowest price in the space, if there are none.
    """
    rng = np.random.default_rng([seed, 2])
    sampler = WithinBudget(space, price, limit_ms, rng)
    return NarrowedSpace(space, options_in_use(space, sampler.paths(SAMPLES, rng), MIN_SHARE))


def within_reach(
    space: SearchSpace, size_hw: tuple[int, int], classes: int, *, macs_per_ms: float, limit_ms: float, seed: int
) -> SearchSpace:
    """``space`` without what cannot be had within ``limit_ms`` at a peak of ``macs_per_ms``."""
    bounds = PopulationModel(Ceiling(macs_per_ms), space, size_hw, classes, np.random.default_rng([seed, 1]))
    return narrow_to(space, lambda decisions: float(bounds.predict_many([decisions])[0]), limit_ms, seed)
