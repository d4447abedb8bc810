"""A cell: a small DAG of ops with named inputs and one output — the thing that papers draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from hwnas.errors import GenotypeError
from hwnas.ir.node import Node, freeze_graph, in_order, node_of


@dataclass(frozen=True, eq=False)
class Cell:
    """``inputs`` are names without an op; ``output`` is the node (or input) whose value the cell gives.

    ``graph`` is a frozen ``networkx.MultiDiGraph``: nodes carry ``op`` and ``params``, edges carry ``slot``. The cells
    of supergraphs carry open decisions, too (see :class:`~hwnas.ir.node.Node`); those of genotypes do not.
    Build one with :meth:`of`.
    """

    inputs: tuple[str, ...]
    graph: nx.MultiDiGraph
    output: str

    @classmethod
    def of(cls, inputs: Sequence[str], nodes: Iterable[Node], output: str, *, where: str = "cell") -> Cell:
        """Build and check a cell; raises GenotypeError naming the node at fault."""
        if not inputs:
            raise GenotypeError(f"{where}: a cell needs at least one input")
        if len(set(inputs)) < len(inputs):
            raise GenotypeError(f"{where}: two inputs have the same name", f"they are: {', '.join(inputs)}")
        graph = freeze_graph({name: {} for name in inputs}, nodes, where)
        if output not in graph:
            raise GenotypeError(f"{where}: the output {output!r} is not a node of the cell")
        return cls(tuple(inputs), graph, output)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes in topological order (ties by name), without the inputs."""
        return tuple(self.node(name) for name in in_order(self.graph) if name not in self.inputs)

    def node(self, name: str) -> Node:
        """One node with its ordered inputs."""
        return node_of(self.graph, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and (self.inputs, self.nodes, self.output) == (
            other.inputs,
            other.nodes,
            other.output,
        )

    def __hash__(self) -> int:
        return hash((self.inputs, self.nodes, self.output))
