"""Pictures of cells and networks, as DOT source and as files.

Ops are coloured by family. A network that goes up in resolution again is drawn as a U: what comes before goes down on
one side, the part that resizes up goes up on the other, so that connections between them are level and short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import graphviz

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS
from hwnas.report.dot import render
from hwnas.report.label import Swatch, heading, lines
from hwnas.report.palette import FAINT, FAMILIES, INK, family_colour, outline, ramp_colour
from hwnas.shapes import format_shape

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
_CLUSTER = {
    "style": "rounded,filled",
    "fillcolor": "#f7f7f7",
    "color": "#d5d5d5",
    "fontname": "Helvetica",
    "fontsize": "10",
    "fontcolor": FAINT,
    "labeljust": "l",
    "margin": "10",
}


def draw_cell(cell: Cell, title: str = "", *, values: Mapping[str, float] | None = None, unit: str = "ms") -> str:
    """DOT source of a cell, from its inputs on the left to its output on the right.

    With ``values`` (node → number in ``unit``) nodes are coloured by them instead of by family, and say them.
    """
    nodes = cell.nodes
    dot = _digraph(heading(title, _families(nodes) if values is None else _scale(values, unit)), rankdir="LR")
    ids = {name: f"n{index}" for index, name in enumerate([*cell.inputs, *(node.name for node in nodes)])}
    for name in cell.inputs:
        _terminal(dot, ids[name], lines(name, ""))
    for node in nodes:
        given = ", ".join(f"{key} {_value(value)}" for key, value in node.params.items())
        fill, worth = _fill(node, values, unit)
        _op(dot, ids[node.name], node, lines(node.op, "", node.name, given, worth), fill)
        for source in node.inputs:
            dot.edge(ids[source], ids[node.name])
    _terminal(dot, "output", lines("output", ""))
    dot.edge(ids[cell.output], "output")
    return str(dot.source)


def draw_network(
    graph: OpGraph, title: str = "", *, values: Mapping[str, float] | None = None, unit: str = "ms"
) -> str:
    """DOT source of a network, its nodes grouped by the first part of their names, with their output shapes.

    With ``values`` (node → number in ``unit``) nodes are coloured by them instead of by family, and say them.
    """
    nodes = graph.nodes
    legend = _families(nodes) if values is None else _scale(values, unit)
    dot = _digraph(heading(title, legend), rankdir="TB")
    ids = {name: f"n{index}" for index, name in enumerate([graph.input, *graph.order])}
    _terminal(dot, ids[graph.input], lines(graph.input, "", format_shape(graph.shape(graph.input))))
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(_group(node.name), []).append(node)
    for index, (group, members) in enumerate(groups.items()):
        if not group:
            _add_nodes(dot, graph, members, ids, values, unit)
            continue
        with dot.subgraph(name=f"cluster_{index}", graph_attr={**_CLUSTER, "label": group}) as cluster:
            _add_nodes(cluster, graph, members, ids, values, unit)
    _add_edges(dot, graph, nodes, ids)
    return str(dot.source)


def draw_genotype(
    genotype: Genotype,
    graph: OpGraph,
    folder: Path,
    *,
    formats: Sequence[str] = ("svg", "png"),
    values: Mapping[str, float] | None = None,
    cell_values: Mapping[str, Mapping[str, float]] | None = None,
    unit: str = "ms",
) -> tuple[Path, ...]:
    """Draw ``cell-ROLE`` for each cell and ``network`` into ``folder``, in each of ``formats``; returns the files.

    ``values`` are of the network's nodes, ``cell_values`` (by role) of the cells' own.
    """
    sources = {
        f"cell-{role.replace('/', '-')}": draw_cell(cell, role, values=(cell_values or {}).get(role), unit=unit)
        for role, cell in genotype.cells.items()
    }
    size = f"{graph.shape(graph.input)[1]} x {graph.shape(graph.input)[2]}"
    sources["network"] = draw_network(graph, f"{genotype.name} at {size}", values=values, unit=unit)
    return tuple(render(source, folder / stem, format) for stem, source in sources.items() for format in formats)


def _digraph(label: str, rankdir: str) -> graphviz.Digraph:
    return graphviz.Digraph(graph_attr={**_GRAPH, "rankdir": rankdir, "label": label}, node_attr=_NODE, edge_attr=_EDGE)


def _terminal(dot: graphviz.Digraph, id: str, label: str) -> None:
    """An input or output."""
    dot.node(id, label, fillcolor="white", color=INK, style="filled")


def _op(dot: graphviz.Digraph, id: str, node: Node, label: str, fill: str, *, bold: bool = False) -> None:
    if node.op in SIGNS:
        sign = f'<<font point-size="13">{SIGNS[node.op]}</font>>'
        dot.node(id, sign, shape="circle", width="0.26", fixedsize="true", fillcolor=fill, color=INK)
    else:
        border = {"color": INK, "penwidth": "1.8"} if bold else {"color": outline(fill)}
        dot.node(id, label, fillcolor=fill, **border)


def _add_nodes(
    dot: graphviz.Digraph,
    graph: OpGraph,
    nodes: Sequence[Node],
    ids: Mapping[str, str],
    values: Mapping[str, float] | None,
    unit: str,
) -> None:
    for node in nodes:
        fill, worth = _fill(node, values, unit)
        label = lines(node.op, _badge(node), format_shape(graph.shape(node.name)), worth)
        _op(dot, ids[node.name], node, label, fill, bold=node.name == graph.output)


def _fill(node: Node, values: Mapping[str, float] | None, unit: str) -> tuple[str, str]:
    """The colour of a node, and its value in words."""
    if values is None:
        return family_colour(OPS.get(node.op).family), ""
    value, largest = values.get(node.name), max(values.values(), default=0.0)
    fill = ramp_colour(value / largest) if value and largest else "#ffffff"
    return fill, "" if value is None else f"{value:.3g} {unit}"


def _badge(node: Node) -> str:
    """``/2`` for a stride, ``d2`` for a dilation."""
    stride, dilation = node.params.get("stride", 1), node.params.get("dilation", 1)
    return " ".join([f"/{stride}"] * (stride != 1) + [f"d{dilation}"] * (dilation != 1))


def _add_edges(dot: graphviz.Digraph, graph: OpGraph, nodes: Sequence[Node], ids: Mapping[str, str]) -> None:
    upward = _upward(graph, nodes)
    crossing = {node.name for node in nodes if node.name in upward and not upward.issuperset(node.inputs)}
    deepest = next((name for name in reversed(graph.order) if name not in upward), "")
    for node in nodes:
        joined = {other for reader in graph.graph.successors(node.name) for other in graph.node(reader).inputs}
        for source in node.inputs:
            weight = "8" if _group(source) == _group(node.name) else "1"  # straight columns
            if source in upward:  # ranks grow downwards: turned round, an edge goes up
                dot.edge(ids[node.name], ids[source], dir="back", weight=weight)
            elif node.name in upward:  # level, but not through a neighbour that comes across, too
                blocked = source == deepest and len(joined & crossing) > 1
                dot.edge(ids[source], ids[node.name], minlen="1" if blocked else "0", weight=weight)
            else:
                dot.edge(ids[source], ids[node.name], weight=weight)


def _upward(graph: OpGraph, nodes: Sequence[Node]) -> set[str]:
    """The nodes to draw upwards: the group in which resolution first rises, and all groups after it."""
    groups = list(dict.fromkeys(_group(node.name) for node in nodes))
    for node in nodes:
        if graph.shape(node.name)[1] > graph.input_shapes(node.name)[0][1]:
            later = groups[groups.index(_group(node.name)) :]
            return {node.name for node in nodes if _group(node.name) in later}
    return set()


def _group(name: str) -> str:
    return name.split("/")[0] if "/" in name else ""


def _families(nodes: Sequence[Node]) -> list[Swatch]:
    """The legend of the families that occur, in the palette's order; merges are told by their signs."""
    present = {OPS.get(node.op).family for node in nodes} - {"merge"}
    ordered = [family for family in FAMILIES if family in present] + sorted(present - set(FAMILIES))
    return [(family_colour(family), family) for family in ordered]


def _scale(values: Mapping[str, float], unit: str) -> list[Swatch]:
    largest = max(values.values(), default=0.0)
    return [(ramp_colour(part / 4), f"{largest * part / 4:.3g} {unit}") for part in range(5)]


def _value(value: object) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, tuple) else str(value)
