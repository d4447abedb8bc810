"""Remove the heads that only training looks at: what is left is what is deployed, priced and drawn."""

from __future__ import annotations

from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.rewrite import rebuilt


def without_auxiliary(graph: OpGraph) -> OpGraph:
    """``graph`` without its auxiliary outputs and the nodes that only they need.

    Nodes that reach no output at all stay. Without auxiliary outputs, ``graph`` itself is returned.
    """
    if not graph.auxiliary:
        return graph
    kept = [node for node in graph.nodes if node.name not in graph.only_auxiliary]
    return rebuilt(graph, kept, graph.output, ())
