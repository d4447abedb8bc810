"""NAS-Bench-201's strings: ``|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|``.

Nodes are parted by ``+``; each is the sum of its edges ``op~node``, where node 0 is the cell's input.
"""

from __future__ import annotations

import difflib

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
INPUT = "node0"


def read_nasbench201(text: str, name: str) -> Genotype:
    """The genotype of a string, quoted or not; GenotypeError says which edge is wrong."""
    line = text.strip()
    if not line.startswith("|"):
        found = read_literals(text)
        values = list(found.values())
        if len(values) != 1 or not isinstance(values[0], str):
            raise GenotypeError("NAS-Bench-201's notation is one string like |nor_conv_3x3~0|+|none~0|skip_connect~1|")
        line, name = values[0].strip(), next(iter(found)) or name
    return Genotype(name, "nasbench201", {"cell": nasbench201_cell(line)})


def nasbench201_cell(line: str) -> Cell:
    """The cell of a string."""
    nodes: list[Node] = []
    for number, part in enumerate(line.split("+"), start=1):
        if len(part) < 2 or not (part.startswith("|") and part.endswith("|")):
            raise GenotypeError(f"node {number} is {part!r}", "a node is |op~node|op~node|…|")
        edges = [_edge(edge, number, place) for place, edge in enumerate(part[1:-1].split("|"))]
        if len({edge.name for edge in edges}) < len(edges):
            raise GenotypeError(f"node {number} takes one node twice: {part}")
        nodes += [*edges, Node(f"node{number}", "add", tuple(edge.name for edge in edges))]
    return Cell.of([INPUT], nodes, nodes[-1].name)


def _edge(edge: str, number: int, place: int) -> Node:
    op, _, source = edge.partition("~")
    where = f"node {number}, edge {place}"
    if op not in OPERATIONS:
        near = difflib.get_close_matches(op, OPERATIONS, n=2)
        offer = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(OPERATIONS)}"
        raise GenotypeError(f"{where}: unknown op {op!r}", offer)
    if not source.isdecimal() or int(source) >= number:
        raise GenotypeError(f"{where} takes node {source!r}", f"it can take nodes 0 to {number - 1}")
    return Node(f"node{number}/from{source}", op, (f"node{source}",))


def write_nasbench201(genotype: Genotype) -> str:
    """The string of a genotype; GenotypeError where its cell is not made of sums of edges."""
    cell = genotype.cells["cell"]
    number = {cell.inputs[0]: 0}
    parts = []
    waiting = [node for node in cell.nodes if node.op == "add"]
    for node in waiting:
        edges = [cell.node(source) for source in node.inputs if source not in cell.inputs]
        fits = len(edges) == len(node.inputs) and all(
            edge.op in OPERATIONS and not edge.params and edge.inputs[0] in number for edge in edges
        )
        if not fits:
            raise GenotypeError(f"{genotype.name}: node {node.name} is not a sum of NAS-Bench-201's edges")
        parts.append("|" + "|".join(f"{edge.op}~{number[edge.inputs[0]]}" for edge in edges) + "|")
        number[node.name] = len(number)
    if not parts or cell.output != waiting[-1].name:
        raise GenotypeError(f"{genotype.name}: its output is not the last of NAS-Bench-201's nodes")
    return "+".join(parts) + "\n"


NOTATIONS.register("nasbench201", Notation(read_nasbench201, write_nasbench201, (32, 32), 10, {"layers": "repeats"}))
