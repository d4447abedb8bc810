"""Remove what changes no output: nodes that do not reach one, and zeros that are added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import networkx as nx

from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.rewrite import rebuilt

ZERO_KEEPING = frozenset(
    {"skip_connect", "add", "concat", "max_pool_3x3", "avg_pool_3x3", "resize_bilinear", "resize_nearest"}
)
"""Ops that make zeros of zeros. Convolutions do not: BatchNorm adds its bias."""


def remove_dead_branches(graph: OpGraph, *, exact: bool = True) -> OpGraph:
    """``graph`` without zeros among the inputs of ``add``, and without nodes that reach no output.

    Names and shapes of the surviving nodes stay. Without anything to remove, ``graph`` itself is returned. An ``add``
    of zeros only keeps one of them. A zero that is concatenated stays: channels behind it would change their place.
    Unless ``exact``, whatever reads nothing but zeros counts as zero, too: a constant for each channel, learnt by its
    BatchNorm, is then lost.
    """
    before = graph.nodes
    zeros = zero_values(before, exact=exact)
    nodes = [_without_zeros(node, zeros) for node in before]
    wires = nx.DiGraph((source, node.name) for node in nodes for source in node.inputs)
    alive = {graph.output, *graph.auxiliary}
    for output in alive & set(wires):
        alive |= nx.ancestors(wires, output)
    kept = [node for node in nodes if node.name in alive]
    if kept == list(before):
        return graph
    return rebuilt(graph, kept, graph.output, graph.auxiliary)


def _without_zeros(node: Node, zeros: set[str]) -> Node:
    if node.op != "add" or node.gates or not zeros.intersection(node.inputs):
        return node
    rest = tuple(source for source in node.inputs if source not in zeros)
    return replace(node, inputs=rest or node.inputs[:1])


def zero_values(nodes: Iterable[Node], *, exact: bool = True) -> set[str]:
    """Names of the nodes whose output is zero whatever the image: ``none``, and what keeps zeros zero.

    Unless ``exact``, every op keeps them zero.
    """
    zeros: set[str] = set()
    for node in nodes:
        are_zero = [source in zeros for source in node.inputs]
        kept_zero = (node.op in ZERO_KEEPING or not exact) and all(are_zero)
        if node.op == "none" or kept_zero or (node.op == "mul" and any(are_zero)):
            zeros.add(node.name)
    return zeros
