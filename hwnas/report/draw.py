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
from hwnas.report.dot import render
from hwnas.report.label import heading, lines
from hwnas.report.overview import draw_overview
from hwnas.report.style import CLUSTER, add_op, digraph, families, fill_of, scale, terminal, value_text
from hwnas.report.trellis import TRELLISES, draw_trellis
from hwnas.shapes import format_shape
from hwnas.skeletons.plain import NETWORK as WHOLE

MANY_NODES = 100
"""From here on a network is drawn by its groups unless every node is asked for."""


def draw_cell(cell: Cell, title: str = "", *, values: Mapping[str, float] | None = None, unit: str = "ms") -> str:
    """DOT source of a cell, from its inputs on the left to its output on the right.

    With ``values`` (node → number in ``unit``) nodes are coloured by them instead of by family, and say them.
    """
    nodes = cell.nodes
    dot = digraph(heading(title, families(nodes) if values is None else scale(values, unit)), rankdir="LR")
    ids = {name: f"n{index}" for index, name in enumerate([*cell.inputs, *(node.name for node in nodes)])}
    for name in cell.inputs:
        terminal(dot, ids[name], lines(name, ""))
    for node in nodes:
        given = ", ".join(f"{key} {value_text(value)}" for key, value in node.params.items())
        fill, worth = fill_of(node, values, unit)
        add_op(dot, ids[node.name], node, lines(node.op, "", node.name, given, worth), fill)
        for source in node.inputs:
            dot.edge(ids[source], ids[node.name])
    terminal(dot, "output", lines("output", ""))
    dot.edge(ids[cell.output], "output")
    return str(dot.source)


def draw_network(
    graph: OpGraph, title: str = "", *, values: Mapping[str, float] | None = None, unit: str = "ms"
) -> str:
    """DOT source of a network, its nodes grouped by the first part of their names, with their output shapes.

    With ``values`` (node → number in ``unit``) nodes are coloured by them instead of by family, and say them.
    """
    nodes = graph.nodes
    legend = families(nodes) if values is None else scale(values, unit)
    dot = digraph(heading(title, legend), rankdir="TB")
    ids = {name: f"n{index}" for index, name in enumerate([graph.input, *graph.order])}
    terminal(dot, ids[graph.input], lines(graph.input, "", format_shape(graph.shape(graph.input))))
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(_group(node.name), []).append(node)
    for index, (group, members) in enumerate(groups.items()):
        if not group:
            _add_nodes(dot, graph, members, ids, values, unit)
            continue
        with dot.subgraph(name=f"cluster_{index}", graph_attr={**CLUSTER, "label": group}) as cluster:
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
    cell_values: Mapping[str, Mapping[str, float] | None] | None = None,
    unit: str = "ms",
    detail: str = "auto",
) -> tuple[Path, ...]:
    """Draw ``cell-ROLE`` for each cell, ``path`` where there is one, and ``network`` into ``folder``.

    Each is written in all of ``formats``; returns the files. ``values`` are of the network's nodes, ``cell_values`` (by
    role) of the cells' own. ``detail``: every node (``nodes``), a box for each group of them (``groups``), or boxes
    from :data:`MANY_NODES` nodes on (``auto``).
    """
    sources = {}
    for role, cell in genotype.cells.items():
        if role != WHOLE or genotype.skeleton != "plain":  # that cell is the network
            sources[f"cell-{role.replace('/', '-')}"] = draw_cell(
                cell, role, values=(cell_values or {}).get(role), unit=unit
            )
    if genotype.skeleton in TRELLISES:
        trellis = TRELLISES[genotype.skeleton](genotype)
        sources["path"] = draw_trellis(trellis, f"{genotype.name}: path through resolutions")
    size = f"{graph.shape(graph.input)[1]} x {graph.shape(graph.input)[2]}"
    grouped = detail == "groups" or (detail == "auto" and len(graph.nodes) >= MANY_NODES)
    draw = draw_overview if grouped else draw_network
    sources["network"] = draw(graph, f"{genotype.name} at {size}", values=values, unit=unit)
    return tuple(render(source, folder / stem, format) for stem, source in sources.items() for format in formats)


def _add_nodes(
    dot: graphviz.Digraph,
    graph: OpGraph,
    nodes: Sequence[Node],
    ids: Mapping[str, str],
    values: Mapping[str, float] | None,
    unit: str,
) -> None:
    for node in nodes:
        fill, worth = fill_of(node, values, unit)
        label = lines(node.op, _badge(node), format_shape(graph.shape(node.name)), worth)
        add_op(dot, ids[node.name], node, label, fill, bold=node.name == graph.output)


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
