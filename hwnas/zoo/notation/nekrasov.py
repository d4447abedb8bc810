"""Nekrasov et al.'s notations: decoders of two papers as nested lists of numbers.

CVPR 2019: ``[[op0, [in, in, op, op], …], [[i, j], …]]``, the contextual cell and the connections. WACV 2020:
``[[[op, op, join], …], [[i, j, template, repeats - 1, log2 of the stride], …]]``, the templates and the structure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.spaces.auxcells import OPERATIONS, auxcells_genotype
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

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


def _two_parts(document: object, name: str) -> tuple[list[Any], list[Any]]:
    if not isinstance(document, list) or len(document) != 2 or not all(isinstance(part, list) for part in document):
        raise GenotypeError(f"{name}: a decoder is two lists: its cell and its connections, or templates and structure")
    return document[0], document[1]


def _rows(rows: Sequence[object], length: int, where: str) -> list[tuple[int, ...]]:
    for place, row in enumerate(rows):
        numbers = list(row) if isinstance(row, Sequence) and not isinstance(row, str) else []
        if len(numbers) != length or not all(type(number) is int and number >= 0 for number in numbers):
            raise GenotypeError(f"{where}: row {place} must be {length} whole numbers, not {row!r}")
    return [tuple(row) for row in rows]  # type: ignore[arg-type]


def read_nekrasov(text: str, name: str) -> Genotype:
    """The genotype of the text of a decoder of the first paper."""
    return nekrasov_genotype(_only_value(text), name)


def read_templates(text: str, name: str) -> Genotype:
    """The genotype of the text of a decoder of the second paper."""
    return template_genotype(_only_value(text), name)


def _only_value(text: str) -> object:
    found = read_literals(text)
    if len(found) != 1:
        raise GenotypeError(f"the notation is one list of lists of numbers, not {len(found)} values")
    return next(iter(found.values()))


def write_nekrasov(genotype: Genotype) -> str:
    """The lists of a decoder of the first paper; GenotypeError for what the notation cannot say."""
    cell = genotype.cells.get("context")
    pairs = genotype.params.get("connections")
    if genotype.skeleton != "auxcells" or cell is None or not isinstance(pairs, tuple):
        raise GenotypeError(f"{genotype.name} is of skeleton {genotype.skeleton}, not auxcells")
    known, rows, index = ["x", "op0"], [], 1
    while f"layer{index}" in cell.graph:
        sides = [_operation_of(cell, f"layer{index}_{side}") for side in "ab"]
        rows.append([*(known.index(source) for _, source in sides), *(number for number, _ in sides)])
        known += [f"layer{index}_a", f"layer{index}_b", f"layer{index}"]
        index += 1
    document = [[_operation_of(cell, "op0")[0], *rows], [list(pair) for pair in pairs if isinstance(pair, tuple)]]
    again = nekrasov_genotype(document, genotype.name)
    if again.cells != genotype.cells:
        raise GenotypeError(f"{genotype.name}: its cell is not one of this notation")
    return json.dumps(document) + "\n"


def _operation_of(cell: Cell, name: str) -> tuple[int, str]:
    """The number of the operation whose result is node ``name``, and what it takes."""
    if name not in cell.graph:
        raise GenotypeError(f"the cell has no node {name!r}, as this notation's have")
    node = cell.node(name)
    if node.op == "resize_like":
        return list(OPERATIONS).index("global_average_pool"), node.inputs[1]
    for number, (op, params) in enumerate(OPERATIONS.values()):
        if (op, params) == (node.op, dict(node.params)):
            return number, node.inputs[0]
    raise GenotypeError(
        f"node {name!r} is {node.op} with {dict(node.params)}, which is none of the {len(OPERATIONS)} ops"
    )


def write_templates(genotype: Genotype) -> str:
    """The lists of a decoder of the second paper; GenotypeError for what the notation cannot say."""
    structure = genotype.params.get("structure")
    if genotype.skeleton != "templates" or not isinstance(structure, tuple):
        raise GenotypeError(f"{genotype.name} is of skeleton {genotype.skeleton}, not templates")
    numbers = {
        OPERATIONS.get(operation, (operation, {}))[0] + str(OPERATIONS.get(operation, (operation, {}))[1]): number
        for number, operation in enumerate(TEMPLATE_OPERATIONS)
    }
    rows = []
    for index in range(len(genotype.cells)):
        cell = genotype.cells[f"template{index}"]
        ops = [numbers[cell.node(role).op + str(dict(cell.node(role).params))] for role in ("first", "second")]
        rows.append([*ops, JOINS.index(cell.node("out").op)])
    return json.dumps([rows, [list(row) for row in structure if isinstance(row, tuple)]]) + "\n"


NOTATIONS.register("auxcells", Notation(read_nekrasov, write_nekrasov, (512, 512), 21, {"channels": "width"}))
NOTATIONS.register("templates", Notation(read_templates, write_templates, (1024, 2048), 19, {"channels": "width"}))
