"""All passes, again and again until none finds anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.detach_zeros import detach_zeros
from hwnas.ir.passes.flatten_sums import flatten_sums
from hwnas.ir.passes.merge_alike import merge_alike
from hwnas.ir.passes.remove_dead_branches import remove_dead_branches
from hwnas.ir.passes.remove_identities import remove_identities

PASSES: tuple[Callable[[OpGraph], OpGraph], ...] = (
    remove_dead_branches,
    remove_identities,
    flatten_sums,
    detach_zeros,
)
"""Each gives back the very graph that it got when it has nothing to do, and a simpler one otherwise."""
INEXACT_PASSES: tuple[Callable[[OpGraph], OpGraph], ...] = (
    partial(remove_dead_branches, exact=False),
    remove_identities,
    flatten_sums,
    partial(detach_zeros, exact=False),
    merge_alike,
)
"""The same for which a convolution of zeros is zero and weights do not count, as NATS-Bench has it."""


def simplify(graph: OpGraph, *, exact: bool = True) -> OpGraph:
    """The simplest graph with the same outputs that the passes lead to; surviving nodes keep names and shapes.

    Unless ``exact``, constants that depend on no pixel are dropped from sums, too, and what is computed alike is
    computed once. That is for counting the expressions of a benchmark: fingerprints are then the same for two networks
    whose parameters, price and trained weights differ.
    """
    while True:
        before = graph
        for run in PASSES if exact else INEXACT_PASSES:
            graph = run(graph)
        if graph is before:
            return graph
