"""A network by its parts: one box for each group of nodes, with what is in it. For networks of many nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import graphviz

from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS
from hwnas.report.label import Swatch, heading, lines
from hwnas.report.palette import family_colour, outline, ramp_colour
from hwnas.report.style import amount, digraph, scale, terminal
from hwnas.shapes import format_shape

SAID_OPS = 4
"""Kinds of ops that a box names."""


@dataclass(frozen=True)
class Box:
    """The nodes of a network whose names begin alike (``stage2/…``), or one that has no such beginning."""

    name: str
    nodes: tuple[Node, ...]
    shape: str
    """What leaves it last."""

    @property
    def contents(self) -> str:
        """``"conv_3x3 x4, add x2, relu, …"``, the most frequent first."""
        counts = Counter(node.op for node in self.nodes).most_common()
        said = [f"{op} x{count}" if count > 1 else op for op, count in counts[:SAID_OPS]]
        return ", ".join([*said, "…"] if len(counts) > SAID_OPS else said)


def boxes_of(graph: OpGraph) -> dict[str, Box]:
    """Name → box, in order of execution."""
    groups: dict[str, list[Node]] = {}
    for node in graph.nodes:
        groups.setdefault(box_name(node.name), []).append(node)
    return {name: Box(name, tuple(nodes), format_shape(graph.shape(nodes[-1].name))) for name, nodes in groups.items()}


def box_name(node: str) -> str:
    """The first part of a node's name."""
    return node.split("/")[0]


def links_of(graph: OpGraph) -> list[tuple[str, str]]:
    """Which box feeds which, each pair once, in order of execution; the image is one of them."""
    found: dict[tuple[str, str], None] = {}
    for node in graph.nodes:
        for source in node.inputs:
            ends = (box_name(source), box_name(node.name))
            if ends[0] != ends[1]:
                found[ends] = None
    return list(found)


def draw_overview(
    graph: OpGraph, title: str = "", *, values: Mapping[str, float] | None = None, unit: str = "ms"
) -> str:
    """DOT source of a network with one box for each group of nodes.

    Boxes have the colour of the family that multiplies most, or with ``values`` (node → number in ``unit``) that of
    their sum.
    """
    boxes = boxes_of(graph)
    sums = (
        None
        if values is None
        else {name: sum(values.get(node.name, 0.0) for node in box.nodes) for name, box in boxes.items()}
    )
    families = {name: _family(graph, box.nodes) for name, box in boxes.items()}
    legend = _legend(list(families.values())) if sums is None else scale(sums, unit)
    dot = digraph(heading(title, legend), rankdir="TB")
    ids = {name: f"b{index}" for index, name in enumerate([graph.input, *boxes])}
    terminal(dot, ids[graph.input], lines(graph.input, "", format_shape(graph.shape(graph.input))))
    for name, box in boxes.items():
        fill, worth = family_colour(families[name]), ""
        if sums is not None:
            fill = ramp_colour(sums[name] / (max(sums.values()) or 1.0))
            worth = amount(sums[name], unit)
        add_box(dot, ids[name], box, fill, worth)
    for source, target in links_of(graph):
        dot.edge(ids[source], ids[target])
    return str(dot.source)


def add_box(dot: graphviz.Digraph, id: str, box: Box, fill: str, worth: str = "") -> None:
    """One box: its name, its ops, the shape of what leaves it."""
    dot.node(id, lines(box.name, "", box.contents, box.shape, worth), fillcolor=fill, color=outline(fill))


def _family(graph: OpGraph, nodes: Sequence[Node]) -> str:
    """The family that multiplies most; the most frequent where none multiplies."""
    macs: Counter[str] = Counter()
    for node in nodes:
        spec = OPS.get(node.op)
        macs[spec.family] += spec.macs(graph.input_shapes(node.name), node.params)
    best, most = macs.most_common(1)[0]
    return best if most else Counter(OPS.get(node.op).family for node in nodes).most_common(1)[0][0]


def _legend(families: Sequence[str]) -> list[Swatch]:
    return [(family_colour(family), family) for family in dict.fromkeys(families) if family != "merge"]
