"""Nodes, and the frozen multigraph that cells and op graphs are read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import networkx as nx

from hwnas.errors import GenotypeError
from hwnas.ir.gates import Gate, Select
from hwnas.shapes import Params, Shape, Value

NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Node:
    """An op applied to named inputs, in order; the same input may appear twice (``add(a, a)``).

    Where decisions are still open (a supergraph), ``gates`` says which of the inputs, by slot, are there under which of
    them, and ``open`` which parameters a choice decides.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    params: Params = field(default_factory=dict)
    gates: Mapping[int, Gate] = field(default_factory=lambda: NOTHING)
    open: Mapping[str, Select] = field(default_factory=lambda: NOTHING)

    def __post_init__(self) -> None:
        frozen: dict[str, Value] = {key: self.params[key] for key in sorted(self.params)}
        object.__setattr__(self, "params", MappingProxyType(frozen))
        object.__setattr__(self, "inputs", tuple(self.inputs))
        for attribute in ("gates", "open"):
            value = getattr(self, attribute)
            object.__setattr__(self, attribute, MappingProxyType({key: value[key] for key in sorted(value)}))
        assert all(slot < len(self.inputs) for slot in self.gates), f"{self.name} has a gate without an input"

    @property
    def is_open(self) -> bool:
        """Whether a decision about it is open."""
        return bool(self.gates or self.open)

    def __hash__(self) -> int:
        opened = (tuple(self.gates.items()), tuple(self.open.items()))
        return hash((self.name, self.op, self.inputs, tuple(self.params.items()), opened))


def freeze_graph(
    sources: Mapping[str, Mapping[str, object]],
    nodes: Iterable[Node],
    where: str,
    *,
    shapes: Mapping[str, Shape] | None = None,
) -> nx.MultiDiGraph:
    """A frozen multigraph of ``sources`` (name → attributes) and ``nodes``; edges carry ``slot``.

    Of what is open, edges carry ``gate`` and nodes ``open``. With ``shapes`` nodes carry theirs, and are known to come
    after their inputs.

    Raises GenotypeError naming the node for a repeated name, a missing input or a cycle.
    """
    graph = nx.MultiDiGraph()
    for name, given in sources.items():
        graph.add_node(name, **given)
    listed = list(nodes)
    for node in listed:
        if node.name in graph:
            raise GenotypeError(f"{where}: two nodes are called {node.name!r}", "give every node its own name")
        attributes: dict[str, Any] = {"op": node.op, "params": node.params, **({"open": node.open} if node.open else {})}
        if shapes is not None:
            attributes["shape"] = shapes[node.name]
        graph.add_node(node.name, **attributes)
    for node in listed:
        for slot, source in enumerate(node.inputs):
            if source not in graph:
                raise GenotypeError(
                    f"{where}: node {node.name!r} takes its input {slot} from {source!r}, which does not exist",
                    f"its inputs can be: {', '.join(sorted(graph)[:12])}",
                )
            graph.add_edge(source, node.name, slot=slot, **({"gate": node.gates[slot]} if slot in node.gates else {}))
    if shapes is None and not nx.is_directed_acyclic_graph(graph):
        cycle = " → ".join(edge[0] for edge in nx.find_cycle(graph))
        raise GenotypeError(f"{where}: the nodes {cycle} form a cycle", "a cell must be acyclic")
    return nx.freeze(graph)


def inputs_of(graph: nx.MultiDiGraph, name: str) -> tuple[str, ...]:
    """The ordered inputs of a node, read from the slots of its edges."""
    edges = sorted(graph.in_edges(name, data="slot"), key=lambda edge: edge[2])
    return tuple(source for source, _, _ in edges)


def node_of(graph: nx.MultiDiGraph, name: str) -> Node:
    """The node called ``name`` with its ordered inputs, parameters and open decisions."""
    data = graph.nodes[name]
    gates = {edge["slot"]: edge["gate"] for _, _, edge in graph.in_edges(name, data=True) if "gate" in edge}
    return Node(name, data["op"], inputs_of(graph, name), data["params"], gates, data.get("open", NOTHING))
