"""Partial channels (PC-DARTS, arXiv 1907.05737): every edge of a mixed op works on one part of the channels only.

The first of ``parts`` equal parts of a state's channels goes through the branches, the others around them (pooled where
the branches stride) and in front of it, so that the next edge takes another part. An edge computes and keeps a fraction
of what it would, so batches can be larger; edges get weights of their own, normalised over those into one node, which
the paper calls edge normalisation. A network that is derived has whole channels: it cannot take over these weights.

The authors' code shuffles the channels where ours change places, and pools those that go around by 2x2, not 3x3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hwnas.errors import HwnasError
from hwnas.ir.gates import Gate, Is, choices_of
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Value
from hwnas.spaces.base import Choice

EDGES = "edges"
Vector = TypeVar("Vector")


@dataclass(frozen=True)
class Partial:
    """``graph`` with partial channels and the soft ``choices`` that it reads.

    These are the given ones and one for the edges into each node. ``edge_of``: given choice → (the choice of its edge,
    the place of the edge among its options).
    """

    graph: OpGraph
    choices: tuple[Choice, ...]
    edge_of: Mapping[str, tuple[str, int]]

    @property
    def edges(self) -> frozenset[str]:
        """The choices of edges: their weights are a softmax, whatever is made of the given choices."""
        return frozenset(edge for edge, _ in self.edge_of.values())

    def folded(self, weights: Mapping[str, Vector]) -> dict[str, Vector]:
        """Weights of the given choices alone: each edge's ops times the edge's weight (tensors or arrays).

        They no longer sum to 1; what a space derives from them weighs ops and edges together, as the paper does.
        """
        found: dict[str, Vector] = {}
        for name, vector in weights.items():
            if name in self.edge_of:
                edge, place = self.edge_of[name]
                found[name] = vector * weights[edge][place]  # type: ignore[index]
            elif name not in self.edges:
                found[name] = vector
        return found


@dataclass(frozen=True)
class _Edge:
    """The branches from one state into a gated sum: chains of nodes, first to last, each with its gate."""

    state: str
    chains: tuple[tuple[tuple[Node, ...], Gate], ...]

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, gate in self.chains for name in choices_of(gate)))


def partial_channels(graph: OpGraph, choices: Sequence[Choice], parts: int) -> Partial:
    """The supergraph with partial channels in all of its mixed ops.

    A mixed op is a gated sum whose branches are chains of ops on states. HwnasError where ``parts`` does not divide the
    channels of one, or nothing is a mixed op.
    """
    rewriting = _Rewriting(graph, parts)
    return Partial(rewriting.build(), (*choices, *rewriting.edge_choices.values()), rewriting.edge_of)


class _Rewriting:
    def __init__(self, graph: OpGraph, parts: int) -> None:
        if parts < 2:
            raise HwnasError(f"channels cannot be split into {parts} parts", "PC-DARTS has 4")
        self.graph, self.parts = graph, parts
        self.builder = GraphBuilder(graph.shape(graph.input), input_name=graph.input)
        self.edge_choices: dict[str, Choice] = {}
        self.edge_of: dict[str, tuple[str, int]] = {}
        self.readers: dict[str, int] = {}
        for node in graph.nodes:
            for source in node.inputs:
                self.readers[source] = self.readers.get(source, 0) + 1

    def build(self) -> OpGraph:
        mixed = {node.name: self._edges(node) for node in self.graph.nodes if node.op == "add" and node.gates}
        inside = {node.name for edges in mixed.values() for edge in edges for chain, _ in edge.chains for node in chain}
        if not inside:
            raise HwnasError("nothing in the supergraph is a mixed op", "partial channels are for spaces of cells")
        for node in self.graph.nodes:
            if mixed.get(node.name):
                self._mixed_op(node, mixed[node.name])
            elif node.name not in inside:
                self.builder.add(node.name, node.op, node.inputs, node.params, gates=node.gates, open=node.open)
        return self.builder.finish(self.graph.output, self.graph.auxiliary)

    def _edges(self, node: Node) -> tuple[_Edge, ...]:
        """The edges into a gated sum; none where some input has no gate or comes straight from a state."""
        by_state: dict[str, list[tuple[tuple[Node, ...], Gate]]] = {}
        for slot, source in enumerate(node.inputs):
            chain = self._chain(source)
            if slot not in node.gates or not chain:
                return ()
            by_state.setdefault(chain[0].inputs[0], []).append((chain, node.gates[slot]))
        return tuple(_Edge(state, tuple(chains)) for state, chains in by_state.items())

    def _chain(self, name: str) -> tuple[Node, ...]:
        """The nodes of one input that lead to ``name`` and that nothing else reads."""
        chain: list[Node] = []
        while name != self.graph.input and self.readers[name] == 1:
            node = self.graph.node(name)
            if len(node.inputs) != 1 or node.is_open:
                break
            chain.append(node)
            name = node.inputs[0]
        return tuple(reversed(chain))

    def _mixed_op(self, node: Node, edges: Sequence[_Edge]) -> None:
        choice = self._edge_choice(edges)
        ends = [self._partial(f"{node.name}/partial{number}", node, edge) for number, edge in enumerate(edges)]
        gates = {slot: Is(choice.name, option) for slot, option in enumerate(choice.options)}
        self.builder.add(node.name, "add", ends, gates=gates)

    def _partial(self, prefix: str, node: Node, edge: _Edge) -> str:
        """One edge: the first part of the state's channels through its branches, the rest around them."""
        channels, builder = self.graph.shape(node.name)[0], self.builder
        if channels % self.parts or self.graph.shape(edge.state)[0] != channels:
            raise HwnasError(
                f"node {node.name!r} has {channels} channels, which cannot be split into {self.parts} parts",
                "choose a number of channels that the parts divide",
            )
        split = [
            builder.add(f"{prefix}/part{i}", "channel_split", [edge.state], {"parts": self.parts, "index": i})
            for i in range(self.parts)
        ]
        ends: list[str] = []
        gates: dict[int, Gate] = {}
        for chain, gate in edge.chains:
            source = split[0]
            for step in chain:
                params: dict[str, Value] = dict(step.params)
                if "channels" in params:
                    params["channels"] = channels // self.parts
                source = builder.add(step.name, step.op, [source], params)
            gates[len(ends)] = gate
            ends.append(source)
        mixed = builder.add(f"{prefix}/mixed", "add", ends, gates=gates)
        around = split[1:]
        if builder.shape(mixed)[1:] != builder.shape(edge.state)[1:]:
            around = [builder.add(f"{name}/pool", "max_pool_3x3", [name], {"stride": 2}) for name in around]
        return builder.add(f"{prefix}/joined", "concat", [*around, mixed])

    def _edge_choice(self, edges: Sequence[_Edge]) -> Choice:
        """The choice of the edges into one node, called after what their own choices have in common."""
        names = [edge.choices for edge in edges]
        if any(len(read) != 1 for read in names):
            raise HwnasError("partial channels need one choice for each edge", "search the space with all channels")
        own = [read[0] for read in names]
        prefix = own[0].rpartition(".")[0]
        choice = Choice(f"{prefix}.{EDGES}", tuple(own))
        self.edge_choices.setdefault(choice.name, choice)
        for place, name in enumerate(own):
            self.edge_of[name] = (choice.name, place)
        return choice
