"""Let zeros depend on nothing that could be removed: what fed them does not matter."""

from __future__ import annotations

from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.remove_dead_branches import zero_values
from hwnas.ir.passes.rewrite import rebuilt


def detach_zeros(graph: OpGraph, *, exact: bool = True) -> OpGraph:
    """``graph`` with every value that is zero made by ``none``, from as early a value of its shape as can be.

    That is the graph's input, or what is reached by going up from the zero through ops of one input that keep the
    shape. Names and shapes stay. Without anything to do, ``graph`` itself is returned. ``exact`` as in
    :func:`remove_dead_branches`.
    """
    zeros = zero_values(graph.nodes, exact=exact)
    nodes = [_detached(graph, node) if node.name in zeros else node for node in graph.nodes]
    if nodes == list(graph.nodes):
        return graph
    return rebuilt(graph, nodes, graph.output, graph.auxiliary)


def _detached(graph: OpGraph, node: Node) -> Node:
    shape = graph.shape(node.name)
    if graph.shape(graph.input) == shape:
        return Node(node.name, "none", (graph.input,), {"stride": 1})
    source = node
    while len(source.inputs) == 1 and source.inputs[0] != graph.input and graph.shape(source.inputs[0]) == shape:
        source = graph.node(source.inputs[0])
    return node if source is node else Node(node.name, "none", (source.name,), {"stride": 1})
