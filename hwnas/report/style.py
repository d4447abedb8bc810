"""What all pictures made by Graphviz share: how graphs, nodes and groups look, and the legends of their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import graphviz

from hwnas.ir.node import Node
from hwnas.ops.spec import OPS
from hwnas.report.label import Swatch
from hwnas.report.palette import FAINT, FAMILIES, INK, family_colour, outline, ramp_colour

SIGNS = {"add": "+", "mul": "&times;"}
"""Merges that are drawn as a small circle."""

_GRAPH = {"fontname": "Helvetica", "labelloc": "t", "nodesep": "0.18", "ranksep": "0.26", "bgcolor": "white"}
_NODE = {
    "shape": "box",
    "style": "rounded,filled",
    "fontname": "Helvetica",
    "margin": "0.10,0.045",
    "height": "0.3",
    "width": "0.5",
    "penwidth": "1",
}
_EDGE = {"arrowsize": "0.55", "color": FAINT, "penwidth": "0.9"}
CLUSTER = {
    "style": "rounded,filled",
    "fillcolor": "#f7f7f7",
    "color": "#d5d5d5",
    "fontname": "Helvetica",
    "fontsize": "10",
    "fontcolor": FAINT,
    "labeljust": "l",
    "margin": "10",
}


def digraph(label: str, rankdir: str) -> graphviz.Digraph:
    """An empty graph with a title, growing from left to right (``LR``) or downwards (``TB``)."""
    return graphviz.Digraph(graph_attr={**_GRAPH, "rankdir": rankdir, "label": label}, node_attr=_NODE, edge_attr=_EDGE)


def terminal(dot: graphviz.Digraph, id: str, label: str) -> None:
    """An input or output."""
    dot.node(id, label, fillcolor="white", color=INK, style="filled")


def add_op(dot: graphviz.Digraph, id: str, node: Node, label: str, fill: str, *, bold: bool = False) -> None:
    """The box of an op, or the circle of a sum or product."""
    if node.op in SIGNS:
        sign = f'<<font point-size="13">{SIGNS[node.op]}</font>>'
        dot.node(id, sign, shape="circle", width="0.26", fixedsize="true", fillcolor=fill, color=INK)
    else:
        border = {"color": INK, "penwidth": "1.8"} if bold else {"color": outline(fill)}
        dot.node(id, label, fillcolor=fill, **border)


def fill_of(node: Node, values: Mapping[str, float] | None, unit: str) -> tuple[str, str]:
    """The colour of a node, and its value in words."""
    if values is None:
        return family_colour(OPS.get(node.op).family), ""
    value, largest = values.get(node.name), max(values.values(), default=0.0)
    fill = ramp_colour(value / largest) if value and largest else "#ffffff"
    return fill, "" if value is None else amount(value, unit)


def families(nodes: Sequence[Node]) -> list[Swatch]:
    """The legend of the families that occur, in the palette's order; merges are told by their signs."""
    present = {OPS.get(node.op).family for node in nodes} - {"merge"}
    ordered = [family for family in FAMILIES if family in present] + sorted(present - set(FAMILIES))
    return [(family_colour(family), family) for family in ordered]


def scale(values: Mapping[str, float], unit: str) -> list[Swatch]:
    """The legend of the ramp: its colours and what they stand for."""
    largest = max(values.values(), default=0.0)
    return [(ramp_colour(part / 4), amount(largest * part / 4, unit)) for part in range(5)]


def amount(value: float, unit: str) -> str:
    """A number of three digits, or all of a larger one, and its unit."""
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def value_text(value: object) -> str:
    """A parameter's value in a label."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return "[" + ", ".join(map(value_text, value)) + "]" if isinstance(value, tuple) else str(value)
