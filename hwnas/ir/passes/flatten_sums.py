"""Take sums apart that are summands themselves: ``a + (b + c)`` becomes ``a + b + c``."""

from __future__ import annotations

from dataclasses import replace

from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.rewrite import rebuilt

MOST = 256
"""Summands at most: each sum of a sum with itself doubles them."""


def flatten_sums(graph: OpGraph) -> OpGraph:
    """``graph`` with the summands of a sum in the place of that sum wherever it is added.

    A sum that others read stays for them. Names and shapes stay. Without anything to do, ``graph`` itself is returned.
    Summands are the same up to rounding, and no weight is used more often.
    """
    summands: dict[str, tuple[str, ...]] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op == "add" and not node.gates:
            flat = tuple(part for source in node.inputs for part in summands.get(source, (source,)))
            node = replace(node, inputs=flat) if len(flat) <= MOST else node
            summands[node.name] = node.inputs
        nodes.append(node)
    if nodes == list(graph.nodes):
        return graph
    return rebuilt(graph, nodes, graph.output, graph.auxiliary)
