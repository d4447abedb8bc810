"""Remove nodes that give their one input on unchanged; their readers read that input instead."""

from __future__ import annotations

from dataclasses import replace

from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.rewrite import rebuilt


def remove_identities(graph: OpGraph) -> OpGraph:
    """``graph`` without skip connections, merges of one input, and resizes to the size that is there.

    Names and shapes of the surviving nodes stay. Without anything to remove, ``graph`` itself is returned. An identity
    that makes the graph's input an output stays, since a graph must compute something.
    """
    source_of: dict[str, str] = {graph.input: graph.input}
    kept: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(source_of[source] for source in node.inputs)
        is_last = node.name in (graph.output, *graph.auxiliary) and inputs[0] == graph.input
        if is_identity(graph, node) and not is_last:
            source_of[node.name] = inputs[0]
        else:
            source_of[node.name] = node.name
            kept.append(replace(node, inputs=inputs))
    if len(kept) == len(graph.graph) - 1:
        return graph
    return rebuilt(graph, kept, source_of[graph.output], [source_of[name] for name in graph.auxiliary])


def is_identity(graph: OpGraph, node: Node) -> bool:
    """Whether a node's output always equals its one input (bilinear resizing to the same size is exact)."""
    if len(node.inputs) != 1 or node.is_open:
        return False
    if node.op in ("resize_bilinear", "resize_nearest"):
        return graph.shape(node.name) == graph.shape(node.inputs[0])
    return node.op in ("skip_connect", "add", "mul", "concat")
