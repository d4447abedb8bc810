"""Numbers to colour pictures by: multiplications, parameters or predicted time of nodes, and their sums in cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.errors import HwnasError
from hwnas.exporters.explain import place_in_genotype
from hwnas.ops.spec import OPS

if TYPE_CHECKING:
    from hwnas.ir.cell import Cell
    from hwnas.ir.genotype import Genotype
    from hwnas.ir.node import Node
    from hwnas.ir.opgraph import OpGraph
    from hwnas.latency.table import LatencyTable

COLOURS = ("family", "macs", "params", "latency")


@dataclass(frozen=True)
class Values:
    """Node of an op graph → number in ``unit``."""

    of: Mapping[str, float]
    unit: str

    def in_cell(self, genotype: Genotype, role: str, graph: OpGraph) -> dict[str, float] | None:
        """Node of a cell → the sum over all places where ``graph`` has that cell; None if it is not known where."""
        sums: dict[str, float] = {}
        for name, (place, node) in places_of(graph, genotype).items():
            if place == role and name in self.of:
                sums[node] = sums.get(node, 0.0) + self.of[name]
        return sums or None


def places_of(graph: OpGraph, genotype: Genotype) -> dict[str, tuple[str, str]]:
    """Node of the op graph → (role of the cell, node of the cell) that it comes from.

    Where names do not tell the role, a group of nodes (``cell7/…``) is the cell with which it has most ops in common.
    """
    found = {node.name: place_in_genotype(node.name, genotype) for node in graph.nodes}
    groups: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if not found[node.name][0]:
            groups.setdefault(node.name.split("/")[0], []).append(node)
    for group, nodes in groups.items():
        own = {node.name.removeprefix(f"{group}/"): node for node in nodes}
        shared = {role: _shared(own, cell) for role, cell in genotype.cells.items()}
        role = max(shared, key=lambda name: len(shared[name]))
        for name in own.keys() & {node.name for node in genotype.cells[role].nodes} if shared[role] else ():
            found[own[name].name] = role, name
    return {name: place for name, place in found.items() if place[0]}


def _shared(own: Mapping[str, Node], cell: Cell) -> list[str]:
    """Nodes that are called alike and have the same op."""
    return [node.name for node in cell.nodes if node.name in own and own[node.name].op == node.op]


def values_of(graph: OpGraph, colour: str, table: LatencyTable | None = None) -> Values | None:
    """What ``colour`` (one of :data:`COLOURS`) asks for; None for ``family``. ``latency`` needs a table."""
    if colour not in COLOURS:
        raise HwnasError(f"pictures cannot be coloured by {colour!r}", f"choose one of {', '.join(COLOURS)}")
    if colour == "family":
        return None
    if colour == "latency":
        if table is None:
            raise HwnasError("colouring by latency needs a latency table", "give --table FILE")
        from hwnas.latency.model import TableModel

        return Values({node.name: node.latency_ms for node in TableModel(table).predict(graph).nodes}, "ms")
    counted = {}
    for node in graph.nodes:
        spec, shapes = OPS.get(node.op), graph.input_shapes(node.name)
        counted[node.name] = (spec.macs if colour == "macs" else spec.weights)(shapes, node.params)
    factor, prefix = (1e6, "M") if max(counted.values(), default=0) >= 1e6 else (1e3, "k")
    unit = f"{prefix} {'MACs' if colour == 'macs' else 'params'}"
    return Values({name: count / factor for name, count in counted.items()}, unit)
