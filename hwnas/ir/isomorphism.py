"""Which nodes of two op graphs are the same: weights go from one to the other by it, whatever nodes are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from hwnas.ir.canonical import refine
from hwnas.ir.fingerprint import labelled
from hwnas.ir.opgraph import OpGraph


def correspondence(ours: OpGraph, theirs: OpGraph) -> dict[str, str] | None:
    """Node of ``ours`` → node of ``theirs``, the inputs included; None unless the two are isomorphic.

    Ops, parameters, shapes, outputs and the order of inputs agree, as for equal fingerprints.
    """
    if len(ours.graph) != len(theirs.graph):
        return None
    names = [(side, name) for side, graph in enumerate((ours, theirs)) for name in graph.graph]
    labels: list[str] = []
    edges: dict[tuple[int, int], str] = {}
    for graph in (ours, theirs):
        first = len(labels)
        own_labels, own_edges = labelled(graph.graph, (graph.input,), (graph.output, *graph.auxiliary))
        labels += own_labels
        edges.update({(first + source, first + target): label for (source, target), label in own_edges.items()})
    label_rank = {label: rank for rank, label in enumerate(sorted(set(labels)))}
    edge_rank = {label: rank for rank, label in enumerate(sorted(set(edges.values())))}
    colours = {node: label_rank[label] for node, label in enumerate(labels)}
    found = _matched(colours, {ends: edge_rank[label] for ends, label in edges.items()}, len(ours.graph))
    return None if found is None else {names[a][1]: names[b][1] for a, b in found.items()}


def _matched(colours: Mapping[int, int], edges: Mapping[tuple[int, int], int], count: int) -> dict[int, int] | None:
    """Nodes under ``count`` → the node of the other graph of the same colour, where they can be told apart.

    Nodes that look alike are told apart by trying: one of ours is matched with each of theirs.
    """
    groups: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for node, colour in refine(colours, edges).items():
        groups[colour][node >= count].append(node)
    if any(len(mine) != len(others) for mine, others in groups.values()):
        return None
    alike = [(len(mine), mine, others) for mine, others in groups.values() if len(mine) > 1]
    if not alike:
        return {mine[0]: others[0] for mine, others in groups.values()}
    _, mine, others = min(alike)
    refined = {node: colour for colour, group in groups.items() for side in group for node in side}
    own = max(refined.values()) + 1
    for other in others:
        found = _matched({**refined, mine[0]: own, other: own}, edges, count)
        if found is not None:
            return found
    return None
