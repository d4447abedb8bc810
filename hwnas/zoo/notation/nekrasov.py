"""Nekrasov et al.'s notations: decoders of two papers as nested lists of numbers.

CVPR 2019: ``[[op0, [in, in, op, op], …], [[i, j], …]]``, the contextual cell and the connections. WACV 2020:
``[[[op, op, join], …], [[i, j, template, repeats - 1, log2 of the stride], …]]``, the templates and the structure.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.spaces.auxcells import OPERATIONS, auxcells_genotype

TEMPLATE_OPERATIONS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "global_average_pool",
    "max_pool_3x3",
    "sep_conv_5x5_dil6",
    "skip_connect",
)
"""The ops of the second paper in the order of its numbers."""
JOINS = ("add", "concat")
TEMPLATE_LAYERS = (1, 2)


def nekrasov_genotype(document: object, name: str) -> Genotype:
    """The genotype of a decoder of the first paper, the auxiliary cells left out."""
    cell, connections = _two_parts(document, name)
    if not cell or isinstance(cell[0], Sequence):
        raise GenotypeError(f"{name}: a contextual cell begins with the number of its first op, not {cell[:1]!r}")
    layers = _rows(cell[1:], 4, f"{name}: contextual cell")
    pairs = _rows(connections, 2, f"{name}: connections")
    if not 0 <= int(cell[0]) < len(OPERATIONS):
        raise GenotypeError(f"{name}: there is no op {cell[0]}", f"ops are 0 to {len(OPERATIONS) - 1}")
    quads = [(a, b, op_a, op_b) for a, b, op_a, op_b in layers]
    return auxcells_genotype(name, int(cell[0]), quads, [(a, b) for a, b in pairs])


def template_genotype(document: object, name: str) -> Genotype:
    """The genotype of a decoder of the second paper."""
    rows, structure = _two_parts(document, name)
    cells = {f"template{i}": _template(row, name) for i, row in enumerate(_rows(rows, 3, f"{name}: templates"))}
    params: dict[str, Value] = {
        "layers": TEMPLATE_LAYERS,
        "structure": tuple(map(tuple, _rows(structure, 5, f"{name}: structure"))),
    }
    return Genotype(name, "templates", cells, params)


def _template(row: Sequence[int], name: str) -> Cell:
    first, second, join = row
    if max(first, second) >= len(TEMPLATE_OPERATIONS) or join >= len(JOINS):
        raise GenotypeError(
            f"{name}: there is no template {list(row)}",
            f"its ops are 0 to {len(TEMPLATE_OPERATIONS) - 1}, its join 0 or 1",
        )
    nodes = []
    for place, (role, source) in zip((first, second), (("first", "a"), ("second", "b")), strict=True):
        operation = TEMPLATE_OPERATIONS[place]
        op, params = OPERATIONS.get(operation, (operation, {}))
        nodes.append(Node(role, op, (source,), params))
    return Cell.of(["a", "b"], [*nodes, Node("out", JOINS[join], ("first", "second"))], "out")


def _two_parts(document: object, name: str) -> tuple[Sequence, Sequence]:  # type: ignore[type-arg]
    good = isinstance(document, Sequence) and not isinstance(document, str) and len(document) == 2
    if not good or not all(isinstance(part, Sequence) for part in document):  # type: ignore[attr-defined]
        raise GenotypeError(f"{name}: a decoder is two lists: its cell and its connections, or templates and structure")
    return document[0], document[1]  # type: ignore[index]


def _rows(rows: Sequence[object], length: int, where: str) -> list[tuple[int, ...]]:
    for place, row in enumerate(rows):
        numbers = list(row) if isinstance(row, Sequence) and not isinstance(row, str) else []
        if len(numbers) != length or not all(type(number) is int and number >= 0 for number in numbers):
            raise GenotypeError(f"{where}: row {place} must be {length} whole numbers, not {row!r}")
    return [tuple(row) for row in rows]  # type: ignore[arg-type]
