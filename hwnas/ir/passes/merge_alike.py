"""Compute once what is computed alike: then graphs are the same exactly if they are the same expression."""

from __future__ import annotations

from dataclasses import replace

from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.rewrite import rebuilt
from hwnas.ops.spec import OPS


def merge_alike(graph: OpGraph) -> OpGraph:
    """``graph`` with one node for all that apply the same op, with the same parameters, to the same inputs.

    Inputs of a commutative op may come in any order. Of the nodes that are alike the first stays, with its name and
    shape; nodes about which a decision is open are alike to none. Without anything to merge, ``graph`` itself is
    returned. Two convolutions with weights of their own become one: the network is another one afterwards.
    """
    stands_for = {graph.input: graph.input}
    first: dict[object, str] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(stands_for[source] for source in node.inputs)
        ordered = tuple(sorted(inputs)) if OPS.get(node.op).commutative else inputs
        facts = (node.op, ordered, tuple(node.params.items()))
        stands_for[node.name] = node.name if node.is_open else first.setdefault(facts, node.name)
        if stands_for[node.name] == node.name:
            kept.append(replace(node, inputs=inputs))
    if len(kept) == len(graph.nodes):
        return graph
    return rebuilt(graph, kept, stands_for[graph.output], [stands_for[name] for name in graph.auxiliary])
