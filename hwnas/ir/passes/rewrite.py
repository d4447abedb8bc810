"""What passes share: a new op graph from the nodes that survive."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from hwnas.ir.node import Node, freeze_graph
from hwnas.ir.opgraph import OpGraph


def rebuilt(graph: OpGraph, nodes: Iterable[Node], output: str, auxiliary: Iterable[str]) -> OpGraph:
    """An op graph of ``nodes``, all of them nodes of ``graph`` by name, with the shapes they have there."""
    listed = list(nodes)
    new = freeze_graph({graph.input: {"shape": graph.shape(graph.input)}}, listed, "op graph").copy()
    for node in listed:
        new.nodes[node.name]["shape"] = graph.shape(node.name)
    return OpGraph(nx.freeze(new), graph.input, output, tuple(auxiliary))
