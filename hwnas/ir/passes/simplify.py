"""All passes, again and again until none finds anything."""

from __future__ import annotations

from collections.abc import Callable

from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.remove_dead_branches import remove_dead_branches
from hwnas.ir.passes.remove_identities import remove_identities

PASSES: tuple[Callable[[OpGraph], OpGraph], ...] = (remove_dead_branches, remove_identities)
"""Each gives back the very graph that it got when it has nothing to do, and a smaller one otherwise."""


def simplify(graph: OpGraph) -> OpGraph:
    """The smallest graph with the same output that the passes lead to; surviving nodes keep names and shapes."""
    while True:
        before = graph
        for run in PASSES:
            graph = run(graph)
        if graph is before:
            return graph
