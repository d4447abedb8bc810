"""Two genotypes side by side: what is the same, what has changed, and what only one of them has."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import graphviz

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS
from hwnas.report.dot import render
from hwnas.report.label import heading, lines
from hwnas.report.overview import boxes_of, links_of
from hwnas.report.palette import FAINT, INK, outline
from hwnas.report.style import CLUSTER, SIGNS, digraph, terminal, value_text

SAME, CHANGED, REMOVED, ADDED = "#ffffff", "#fdd49e", "#f5b3bf", "#cbe6a3"
NOTE_WIDTH = 110
"""Letters of a sentence in a picture's heading."""


@dataclass(frozen=True)
class Side:
    """One of the two graphs: its ``inputs``, its ``nodes`` in order of execution, and which of all gives its output."""

    title: str
    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    output: str


@dataclass(frozen=True)
class Matching:
    """Nodes of the left side by nodes of the right one.

    ``same``: the same op with the same parameters on inputs that belong together, whatever it is called. ``changed``:
    called alike, but another op, other parameters or other inputs.
    """

    same: Mapping[str, str]
    changed: Mapping[str, str]
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs but names."""
        return not (self.changed or self.removed or self.added)


def match(left: Side, right: Side) -> Matching:
    """What of the left side is where on the right one.

    First come nodes that compute the same from the inputs; of several, one that is read alike. Of the others, those
    called alike belong together, and of these are the same whose ops and parameters are and whose inputs belong
    together: what only stands behind a change has not changed.
    """
    partner = dict(zip(left.inputs, right.inputs, strict=False))
    partner |= {name: name for name in left.inputs if name in right.inputs}
    rights = {node.name: node for node in right.nodes}
    free, known = dict(rights), set(left.inputs)
    reads_left, reads_right = _readers(left), _readers(right)
    for node in left.nodes:
        alike = [name for name, other in free.items() if set(node.inputs) <= known and _equal(node, other, partner)]
        if alike:
            read = reads_left[node.name]
            partner[node.name] = max(alike, key=lambda name: (reads_right[name] == read, name == node.name))
            known.add(node.name)
            del free[partner[node.name]]
    partner |= {node.name: node.name for node in left.nodes if node.name not in partner and node.name in free}
    together = {node: partner[node.name] for node in left.nodes if node.name in partner}
    same = {node.name: name for node, name in together.items() if _equal(node, rights[name], partner)}
    return Matching(
        same,
        {node.name: name for node, name in together.items() if node.name not in same},
        tuple(node.name for node in left.nodes if node not in together),
        tuple(name for name in rights if name not in partner.values()),
    )


def _readers(side: Side) -> dict[str, list[str]]:
    """Node → what each of its readers computes from the graph's inputs: tells apart nodes that are alike."""
    computes = {name: str(index) for index, name in enumerate(side.inputs)}
    readers: dict[str, list[str]] = {}
    for node in side.nodes:
        sources = [computes.get(name, "") for name in node.inputs]
        if node.op not in OPS or OPS.get(node.op).commutative:
            sources.sort()
        facts = json.dumps([node.op, {key: repr(value) for key, value in node.params.items()}, sources])
        computes[node.name] = hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
        for name in node.inputs:
            readers.setdefault(name, []).append(computes[node.name])
    return {node.name: sorted(readers.get(node.name, [])) for node in side.nodes}


def _equal(left: Node, right: Node, partner: Mapping[str, str]) -> bool:
    """Op, parameters and inputs; these in any order where the op does not mind it."""
    sources, others = [partner.get(name, "") for name in left.inputs], list(right.inputs)
    if left.op not in OPS or OPS.get(left.op).commutative:
        sources.sort()
        others.sort()
    return (left.op, left.params, sources) == (right.op, right.params, others)


def side_of_cell(cell: Cell, title: str) -> Side:
    """A cell as one side."""
    return Side(title, cell.inputs, cell.nodes, cell.output)


def side_of_network(graph: OpGraph, title: str) -> Side:
    """A network by its groups of nodes: a node here is a group, its op what is in it."""
    boxes, links = boxes_of(graph), links_of(graph)
    nodes = []
    for name, box in boxes.items():
        exact = [[node.op, repr(dict(node.params)), graph.shape(node.name)] for node in box.nodes]
        sources = tuple(source for source, target in links if target == name)
        nodes.append(Node(name, box.contents, sources, {"shape": box.shape, "nodes": json.dumps(exact)}))
    return Side(title, (graph.input,), tuple(nodes), graph.output.split("/")[0])


def draw_difference(left: Side, right: Side, title: str = "", notes: Sequence[str] = ()) -> str:
    """DOT source of two graphs side by side with their differences marked."""
    found = match(left, right)
    legend = [(SAME, "the same"), (CHANGED, "changed"), (REMOVED, f"only {left.title}"), (ADDED, f"only {right.title}")]
    dot = digraph(heading(title, legend, notes), rankdir="TB")
    fills_left = dict.fromkeys(found.removed, REMOVED) | dict.fromkeys(found.changed, CHANGED)
    fills_right = dict.fromkeys(found.added, ADDED) | dict.fromkeys(found.changed.values(), CHANGED)
    _draw_side(dot, "l", left, fills_left)
    _draw_side(dot, "r", right, fills_right)
    return str(dot.source)


def _draw_side(dot: graphviz.Digraph, key: str, side: Side, fills: Mapping[str, str]) -> None:
    ids = {name: f"{key}{index}" for index, name in enumerate([*side.inputs, *(node.name for node in side.nodes)])}
    with dot.subgraph(name=f"cluster_{key}", graph_attr={**CLUSTER, "label": side.title}) as cluster:
        for name in side.inputs:
            terminal(cluster, ids[name], lines(name, ""))
        for node in side.nodes:
            _draw_node(cluster, ids[node.name], node, fills.get(node.name, SAME))
            line = {"color": INK, "penwidth": "1.6"} if node.name in fills else {"color": FAINT}
            for source in node.inputs:
                cluster.edge(ids[source], ids[node.name], **line)
        terminal(cluster, f"{key}_output", lines("output", ""))
        cluster.edge(ids[side.output], f"{key}_output")


def _draw_node(dot: graphviz.Digraph, id: str, node: Node, fill: str) -> None:
    if node.op in SIGNS and not node.params:
        dot.node(id, f"<{SIGNS[node.op]}>", shape="circle", width="0.26", fixedsize="true", fillcolor=fill, color=INK)
        return
    own = {name: value for name, value in node.params.items() if name not in ("nodes", "shape")}
    given = ", ".join(f"{name} {value_text(value)}" for name, value in own.items())
    shape = str(node.params.get("shape", ""))
    head, rest = (node.name, node.op) if "nodes" in node.params else (node.op, node.name)
    dot.node(id, lines(head, "", rest, given, shape), fillcolor=fill, color=outline(fill))


def differing_params(left: Genotype, right: Genotype) -> list[str]:
    """Skeleton and parameters that differ, one sentence each."""
    said = [] if left.skeleton == right.skeleton else [f"skeleton: {left.skeleton} → {right.skeleton}"]
    for name in sorted({*left.params, *right.params}):
        here, there = (value_text(side.params[name]) if name in side.params else "-" for side in (left, right))
        if here != there:
            said.append(f"{name}: {here} → {there}")
    return said


def differences(left: Genotype, right: Genotype) -> dict[str, Matching]:
    """Role → how the cells of that role differ, for roles that both have."""
    roles = [role for role in left.cells if role in right.cells]
    return {
        role: match(side_of_cell(left.cells[role], left.name), side_of_cell(right.cells[role], right.name))
        for role in roles
    }


def draw_differences(
    left: tuple[Genotype, OpGraph],
    right: tuple[Genotype, OpGraph],
    folder: Path,
    *,
    formats: Sequence[str] = ("svg", "png"),
) -> tuple[Path, ...]:
    """Draw ``diff-cell-ROLE`` for each cell that both have, and ``diff-network``; returns the files."""
    one, other = _titles(left[0], right[0])
    sources = {}
    for role in (role for role in left[0].cells if role in right[0].cells):
        sides = side_of_cell(left[0].cells[role], one), side_of_cell(right[0].cells[role], other)
        sources[f"diff-cell-{role.replace('/', '-')}"] = draw_difference(*sides, role)
    networks = side_of_network(left[1], one), side_of_network(right[1], other)
    notes = [textwrap.shorten(sentence, NOTE_WIDTH) for sentence in differing_params(left[0], right[0])]
    sources["diff-network"] = draw_difference(*networks, f"{one} and {other}", notes)
    return tuple(render(source, folder / stem, format) for stem, source in sources.items() for format in formats)


def _titles(left: Genotype, right: Genotype) -> tuple[str, str]:
    return (left.name, right.name) if left.name != right.name else (f"{left.name} (left)", f"{right.name} (right)")
