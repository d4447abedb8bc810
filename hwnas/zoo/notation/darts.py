"""Lists of cells: DARTS's ``Genotype(…)``, NASNet's blocks, the arrays of NASNet's code, ENAS's strings.

DARTS's text, and that of everything built on it (flat, or with the two edges of a node in a tuple of their own)::

    Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), …], normal_concat=[2, 3, 4, 5],
             reduce=[…], reduce_concat=range(2, 6))

Blocks, as JSON or Python, each two edges and perhaps ``"concat"`` (else they are added); states that no block takes are
concatenated unless ``normal_concat`` says which::

    {"normal": [[["sep_conv_5x5", 1], ["sep_conv_3x3", 0], "add"], …], "reduce": […]}

In both, state 0 is the output of the cell before the last, 1 that of the last one, 2 the first block. The arrays of
NASNet's code (tensorflow/models, research/slim/nets/nasnet) count the last output first; there ``none`` is the wire::

    {"normal": {"operations": ["separable_5x5_2", …], "hiddenstate_indices": [0, 1, …],
                "used_hiddenstates": [1, 0, …]}, "reduce": {…}}

ENAS's string holds 4 numbers a block: the state and the op of each edge, first for the normal cell::

    0 2 0 0 0 4 0 1 …
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.skeletons.searched_cell import ROLES
from hwnas.skeletons.states import COMBINATIONS, Block, Edge, blocks_of_cell, cell_of_blocks, unused_states
from hwnas.zoo.notation.literals import Call, read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

OPERATIONS = (
    "none",
    "skip_connect",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "avg_pool_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "nor_conv_7x7",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
)
ALIASES = {
    "identity": "skip_connect",
    "conv_1x1": "nor_conv_1x1",
    "conv_3x3": "nor_conv_3x3",
    "conv_1x3_3x1": "conv_3x1_1x3",
    "conv_1x7_7x1": "conv_7x1_1x7",
}
SLIM = {
    "separable_3x3_2": "sep_conv_3x3",
    "separable_5x5_2": "sep_conv_5x5",
    "separable_7x7_2": "sep_conv_7x7",
    "avg_pool_3x3": "avg_pool_3x3",
    "max_pool_3x3": "max_pool_3x3",
    "none": "skip_connect",
}
ENAS_OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "skip_connect")
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
IGNORED = ("connectN", "connects")
"""Fields of AutoDL-Projects' ``Genotype`` that are always None."""


def read_cells(text: str, name: str, *, skeleton: str, params: Mapping[str, Value]) -> Genotype:
    """The genotype of a text in any of these notations; GenotypeError says where it is wrong."""
    if re.fullmatch(r"[\s\d]+", text) and text.strip():
        cells = _enas_cells(text.split())
    else:
        found = read_literals(text, calls=("Genotype", "range"))
        if len(found) == 1 and isinstance(next(iter(found.values())), str):
            cells = _enas_cells(next(iter(found.values())).split())
        else:
            assigned, fields = _fields(found)
            name = assigned or name
            cells = {role: _cell(role, fields) for role in ROLES}
    return Genotype(name, skeleton, cells, dict(params))


def write_darts(genotype: Genotype) -> str:
    """DARTS's text of a genotype's cells; GenotypeError where they are not made of sums of two ops."""
    parts = []
    for role in ROLES:
        blocks, concatenated = blocks_of_cell(genotype.cells[role], f"{genotype.name}: cell {role!r}")
        if any(block.combination != "add" for block in blocks):
            raise GenotypeError(
                f"{genotype.name}: cell {role!r} concatenates within a block, which DARTS's notation cannot say",
                "write it in NASNet's notation",
            )
        edges = [(edge.op, edge.state) for block in blocks for edge in (block.left, block.right)]
        parts.append(f"{role}={edges!r}, {role}_concat={list(concatenated)!r}")
    return f"Genotype({', '.join(parts)})\n"


def write_blocks(genotype: Genotype) -> str:
    """The blocks of a genotype's cells, as JSON."""
    import json

    document: dict[str, Any] = {}
    for role in ROLES:
        blocks, concatenated = blocks_of_cell(genotype.cells[role], f"{genotype.name}: cell {role!r}")
        document[role] = [
            [[block.left.op, block.left.state], [block.right.op, block.right.state], block.combination]
            for block in blocks
        ]
        document[f"{role}_concat"] = list(concatenated)
    rows = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items())
    return f"{{\n{rows}\n}}\n"


def write_enas(genotype: Genotype) -> str:
    """ENAS's string of a genotype's cells; GenotypeError for what it cannot say."""
    numbers: list[int] = []
    for role in ROLES:
        where = f"{genotype.name}: cell {role!r}"
        blocks, concatenated = blocks_of_cell(genotype.cells[role], where)
        for block in blocks:
            for edge in (block.left, block.right):
                if edge.op not in ENAS_OPERATIONS or block.combination != "add":
                    raise GenotypeError(f"{where}: ENAS's notation has no {edge.op} and adds always")
                numbers += [edge.state, ENAS_OPERATIONS.index(edge.op)]
        if concatenated != unused_states(blocks):
            raise GenotypeError(f"{where}: ENAS's notation concatenates the states that no block takes, not others")
    return " ".join(map(str, numbers)) + "\n"


def _fields(found: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """(the name that the text gives the genotype, the fields of it)."""
    if not any(isinstance(value, Call) for value in found.values()):
        return "", _known_fields(found)
    if len(found) > 1:
        raise GenotypeError(
            f"the text holds {len(found)} values ({', '.join(found)}), not one genotype",
            "give a file that holds the one you mean",
        )
    ((name, call),) = found.items()
    if call.name != "Genotype" or len(call.positional) > len(FIELDS):
        raise GenotypeError(f"{call.name}(…) is no genotype", f"write Genotype({', '.join(FIELDS)})")
    given = dict(zip(FIELDS, call.positional, strict=False))
    twice = sorted(set(given) & set(call.keywords))
    if twice:
        raise GenotypeError(f"the genotype says {twice[0]!r} twice")
    return name, _known_fields({**given, **call.keywords})


def _known_fields(given: Mapping[str, Any]) -> Mapping[str, Any]:
    for key, value in given.items():
        if key not in FIELDS and (key not in IGNORED or value is not None):
            raise GenotypeError(f"a genotype has no {key!r}", f"it has: {', '.join(FIELDS)}")
    for role in ROLES:
        if role not in given:
            raise GenotypeError(f"the genotype lacks {role!r}", f"it has: {', '.join(FIELDS)}")
    return given


def _cell(role: str, fields: Mapping[str, Any]) -> Cell:
    value, concat = fields[role], fields.get(f"{role}_concat")
    if isinstance(value, Mapping):
        return _slim_cell(role, value)
    if not isinstance(value, list) or not value:
        raise GenotypeError(f"{role} must be a list of edges or blocks, not {value!r}")
    if all(_is_edge(item) for item in value):
        if len(value) % 2:
            raise GenotypeError(f"{role} has {len(value)} edges", "every node takes two")
        value = [value[place : place + 2] for place in range(0, len(value), 2)]
    blocks = [_block(item, f"{role}, block {place}") for place, item in enumerate(value)]
    return cell_of_blocks(blocks, _states(concat, blocks, f"{role}_concat"), role)


def _states(concat: object, blocks: Sequence[Block], where: str) -> Sequence[int]:
    if concat is None:
        return unused_states(blocks)
    if isinstance(concat, Call) and concat.name == "range" and not concat.keywords:
        ends = concat.positional
        if 1 <= len(ends) <= 2 and all(type(end) is int and 0 <= end <= len(blocks) + 2 for end in ends):
            return list(range(*ends))
    elif isinstance(concat, list) and all(type(state) is int for state in concat):
        return concat
    raise GenotypeError(f"{where} must be a list of states, 0 to {len(blocks) + 1}, not {concat!r}")


def _is_edge(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)


def _block(item: object, where: str) -> Block:
    if not isinstance(item, list) or len(item) not in (2, 3) or not all(_is_edge(edge) for edge in item[:2]):
        raise GenotypeError(f"{where} is {item!r}", "a block is two edges [op, state], and perhaps 'add' or 'concat'")
    combination = item[2] if len(item) == 3 else "add"
    if combination not in COMBINATIONS:
        raise GenotypeError(f"{where}: {combination!r} combines nothing", f"it can be: {', '.join(COMBINATIONS)}")
    left, right = (_edge(edge, f"{where}, edge {place}") for place, edge in enumerate(item[:2]))
    return Block(left, right, combination)


def _edge(edge: Sequence[Any], where: str) -> Edge:
    op, state = ALIASES.get(edge[0], edge[0]), edge[1]
    if op not in OPERATIONS:
        near = difflib.get_close_matches(op, OPERATIONS, n=3)
        raise GenotypeError(
            f"{where}: unknown op {edge[0]!r}",
            f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(OPERATIONS)}",
        )
    if type(state) is not int:
        raise GenotypeError(f"{where}: {state!r} is not the number of a state")
    return Edge(op, state)


def _slim_cell(role: str, given: Mapping[str, Any]) -> Cell:
    names = ("operations", "hiddenstate_indices", "used_hiddenstates")
    lists = [given.get(name) for name in names]
    if set(given) != set(names) or not all(isinstance(value, list) for value in lists):
        raise GenotypeError(f"{role} must have the lists {', '.join(names)}, not {', '.join(map(str, given))}")
    operations, indices, used = (list(value or ()) for value in lists)
    if len(operations) != len(indices) or len(operations) % 2 or len(used) != len(operations) // 2 + 2:
        raise GenotypeError(f"{role}: there must be as many operations as indices, 2 a block, and a mark a state")
    edges = []
    for place, (word, index) in enumerate(zip(operations, indices, strict=True)):
        if word not in SLIM or type(index) is not int:
            raise GenotypeError(f"{role}, edge {place} is {word!r} on {index!r}", f"operations are: {', '.join(SLIM)}")
        edges.append(Edge(SLIM[word], {0: 1, 1: 0}.get(index, index)))
    blocks = [Block(edges[place], edges[place + 1]) for place in range(0, len(edges), 2)]
    kept = sorted({0: 1, 1: 0}.get(state, state) for state, mark in enumerate(used) if not mark)
    return cell_of_blocks(blocks, kept, role)


def _enas_cells(words: Sequence[str]) -> dict[str, Cell]:
    if not all(word.isdecimal() for word in words) or not words or len(words) % 8:
        raise GenotypeError(
            f"ENAS's notation is two cells of 4 numbers a block, not {len(words)} words",
            "write the state and the op of the two edges of each block: 0 2 0 0 …",
        )
    numbers = [int(word) for word in words]
    half = len(numbers) // 2
    cells = {}
    for role, part in zip(ROLES, (numbers[:half], numbers[half:]), strict=True):
        edges = []
        for place in range(0, half, 2):
            state, op = part[place : place + 2]
            if op >= len(ENAS_OPERATIONS):
                known = ", ".join(f"{number} {word}" for number, word in enumerate(ENAS_OPERATIONS))
                raise GenotypeError(f"{role}, edge {place // 2}: there is no op {op}", f"there are: {known}")
            edges.append(Edge(ENAS_OPERATIONS[op], state))
        blocks = [Block(edges[place], edges[place + 1]) for place in range(0, len(edges), 2)]
        cells[role] = cell_of_blocks(blocks, unused_states(blocks), role)
    return cells


def _register(
    name: str,
    write: Callable[[Genotype], str],
    size_hw: tuple[int, int],
    classes: int,
    options: Mapping[str, str],
    skeleton: str = "",
    **params: Value,
) -> None:
    read = partial(read_cells, skeleton=skeleton or name, params=params)
    NOTATIONS.register(name, Notation(read, write, size_hw, classes, options))


_NASNET = {"channels": "filters", "layers": "repeats"}
_register("darts-cifar", write_darts, (32, 32), 10, {})
_register("darts-imagenet", write_darts, (224, 224), 1000, {})
_register("snas-cifar", write_darts, (32, 32), 10, {}, "darts-cifar", pool_norm=True)
_register("snas-imagenet", write_darts, (224, 224), 1000, {}, "darts-imagenet", pool_norm=True, auxiliary_norm=True)
_register("cell-segmentation", write_darts, (512, 1024), 19, {})
_register("nasnet-cifar", write_blocks, (32, 32), 10, _NASNET)
_register("nasnet-imagenet", write_blocks, (224, 224), 1000, _NASNET)
_register("enas-micro", write_enas, (32, 32), 10, {"channels": "filters"})
