"""Auto-DeepLab's path and cell arrays, in the authors' form and in that of the PyTorch community.

The authors' (tensorflow/models, research/deeplab/core/nas_network.py)::

    backbone = [0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1]
    operations = ["atrous_5x5", "separable_3x3_2", …]
    hiddenstate_indices = [1, 0, …]
    used_hiddenstates = [1, 1, 0, 0, 0, 0, 0]
    num_conv_filters = 20

Operations and the states they take come in pairs, one a block; state 0 is the current input, 1 the previous one, 2 the
first block. There ``none`` is the wire; our absent edge is written ``zero``. States that are marked as used are not
concatenated.

The community's (NoamRosenberg/autodeeplab) has ``network_arch`` or ``network_path`` for the path and for the cell rows
[edge, operation]: edges are counted through all blocks, those into a block from the previous input, the current one,
and earlier blocks. Both forms may stand in Python or JSON; ``head`` may name another head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.skeletons.auto_deeplab import CELL_INPUTS, DEFAULT_HEAD, check_path
from hwnas.spaces.auto_deeplab import Branch, block_cell
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

OPERATIONS = {
    "separable_3x3_2": "sep_conv_3x3",
    "separable_5x5_2": "sep_conv_5x5",
    "atrous_3x3": "atrous_conv_3x3",
    "atrous_5x5": "atrous_conv_5x5",
    "avg_pool_3x3": "avg_pool_3x3",
    "max_pool_3x3": "max_pool_3x3",
    "none": "skip_connect",
    "zero": "none",
}
PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "atrous_conv_3x3",
    "atrous_conv_5x5",
)
"""The community's operations in their order."""
NAMES = {
    "path": ("backbone", "path", "network_path", "network_arch"),
    "operations": ("operations", "cell_operations"),
    "indices": ("hiddenstate_indices",),
    "used": ("used_hiddenstates",),
    "edges": ("cell", "cell_arch", "genotype"),
    "filters": ("num_conv_filters", "filters", "filter_multiplier", "F"),
    "head": ("head",),
}
PUBLISHED_FILTERS = 20


def read_auto_deeplab(text: str, name: str) -> Genotype:
    """The genotype of arrays in either form; GenotypeError for what is missing, unknown or out of range."""
    given = _named(read_literals(text))
    path = tuple(_whole_numbers(given, "path"))
    check_path(path)
    if "edges" in given:
        states, ops = _from_edges(given["edges"])
        used = [1, 1, *[0] * (len(ops) // 2)]
    else:
        states, ops = _whole_numbers(given, "indices"), _operations(given)
        used = given.get("used", [1, 1, *[0] * (len(ops) // 2)])
    filters, head = given.get("filters", PUBLISHED_FILTERS), given.get("head", DEFAULT_HEAD)
    params: dict[str, Value] = {"path": path, "filters": filters, "head": head}
    return Genotype(name, "auto-deeplab", {"cell": _cell(states, ops, used)}, params)


def write_auto_deeplab(genotype: Genotype) -> str:
    """The authors' arrays of ``genotype``; GenotypeError where its cell is not made of pairs of operations."""
    cell = genotype.cells["cell"]
    states = [*CELL_INPUTS]
    operations: list[str] = []
    indices: list[int] = []
    words = {op: word for word, op in OPERATIONS.items()}
    for block in _blocks_in_order(genotype.name, cell):
        branches = [cell.node(source) for source in block.inputs]
        if len(branches) != 2 or not all(branch.op in words for branch in branches):
            raise GenotypeError(f"{genotype.name}: block {block.name} is not the sum of two operations of auto-deeplab")
        operations += [words[branch.op] for branch in branches]
        indices += [states.index(branch.inputs[0]) for branch in branches]
        states.append(block.name)
    kept = cell.node(cell.output).inputs
    lines = {
        "backbone": list(genotype.params["path"]),  # type: ignore[arg-type]
        "operations": operations,
        "hiddenstate_indices": indices,
        "used_hiddenstates": [int(state not in kept) for state in states],
        "num_conv_filters": genotype.params["filters"],
        "head": genotype.params.get("head", DEFAULT_HEAD),
    }
    return "".join(f"{key} = {value!r}\n" for key, value in lines.items())


def _blocks_in_order(name: str, cell: Cell) -> list[Node]:
    """The sums of the cell, each after those it takes, those that are concatenated in the order of the concat."""
    kept = cell.node(cell.output).inputs if cell.output not in cell.inputs else ()
    waiting = [node for node in cell.nodes if node.op == "add"]
    waiting.sort(key=lambda node: kept.index(node.name) if node.name in kept else len(kept))
    ordered: list[Node] = []
    while waiting:
        known = {*cell.inputs, *(block.name for block in ordered)}
        ready = [
            node
            for node in waiting
            if all(source not in cell.inputs and set(cell.node(source).inputs) <= known for source in node.inputs)
        ]
        if not ready:
            raise GenotypeError(f"{name}: block {waiting[0].name} is not the sum of operations on earlier blocks")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    if tuple(block.name for block in ordered if block.name in kept) != kept:
        raise GenotypeError(f"{name}: the cell's output is not its blocks concatenated in their order")
    return ordered


def _named(found: Mapping[str, Any]) -> dict[str, Any]:
    """The values under our names for them."""
    given: dict[str, Any] = {}
    for word, value in found.items():
        ours = next((name for name, words in NAMES.items() if word in words), None)
        if ours is None or ours in given:
            fault = f"has no {word!r}" if ours is None else f"says {word!r} under two names"
            known = ", ".join(words[0] for words in NAMES.values())
            raise GenotypeError(f"auto-deeplab's notation {fault}", f"it has: {known}")
        given[ours] = value
    needed = ("path",) if "edges" in given else ("path", "operations", "indices")
    for name in needed:
        if name not in given:
            raise GenotypeError(f"auto-deeplab's notation lacks {NAMES[name][0]!r}")
    return given


def _whole_numbers(given: Mapping[str, Any], name: str) -> list[int]:
    value = given[name]
    if not isinstance(value, list) or not value or not all(type(item) is int for item in value):
        raise GenotypeError(f"{NAMES[name][0]} must be a list of whole numbers, not {value!r}")
    return value


def _operations(given: Mapping[str, Any]) -> list[str]:
    words, indices = given["operations"], given["indices"]
    if not isinstance(words, list) or len(words) != len(indices) or len(words) % 2:
        raise GenotypeError("operations and hiddenstate_indices must be lists of the same even length")
    for place, word in enumerate(words):
        if not isinstance(word, str) or word not in OPERATIONS:
            raise GenotypeError(f"operation {place} is {word!r}", f"the operations are: {', '.join(OPERATIONS)}")
    return [OPERATIONS[word] for word in words]


def _from_edges(rows: object) -> tuple[list[int], list[str]]:
    """States and ops of the community's rows [edge, operation]."""
    if not isinstance(rows, list) or not rows or len(rows) % 2 or not all(_is_pair(row) for row in rows):
        raise GenotypeError("the cell must be an even number of rows [edge, operation]")
    states: list[int] = []
    ops: list[str] = []
    offset = 0
    for block in range(len(rows) // 2):
        for edge, operation in rows[2 * block : 2 * block + 2]:
            state = edge - offset
            if not 0 <= state < block + 2 or not 0 <= operation < len(PRIMITIVES):
                raise GenotypeError(
                    f"the cell's row [{edge}, {operation}] does not fit block {block + 1}",
                    f"its edges are {offset} to {offset + block + 1}, operations 0 to {len(PRIMITIVES) - 1}",
                )
            states.append({0: 1, 1: 0}.get(state, state))
            ops.append(PRIMITIVES[operation])
        offset += block + 2
    return states, ops


def _is_pair(row: object) -> bool:
    return isinstance(row, list) and len(row) == 2 and all(type(number) is int for number in row)


def _cell(states: Sequence[int], ops: Sequence[str], used: object) -> Cell:
    blocks = len(ops) // 2
    if not isinstance(used, list) or len(used) != blocks + 2 or not all(used[:2]) or all(used[2:]):
        raise GenotypeError(
            f"used_hiddenstates must be {blocks + 2} marks: 1 for both inputs, and 0 for at least one block",
            "those marked 0 are concatenated; the inputs cannot be, since cells may stride",
        )
    names = [*CELL_INPUTS, *(f"block{number}" for number in range(1, blocks + 1))]
    pairs: list[tuple[Branch, Branch]] = []
    for block in range(blocks):
        branches: list[Branch] = []
        for place in (2 * block, 2 * block + 1):
            if not 0 <= states[place] < block + 2:
                raise GenotypeError(
                    f"hiddenstate_indices: block {block + 1} takes state {states[place]}",
                    f"there are states 0 to {block + 1} before it",
                )
            branches.append((ops[place], names[states[place]]))
        pairs.append((branches[0], branches[1]))
    return block_cell(pairs, unused=[name for name, mark in zip(names, used, strict=True) if mark])


NOTATIONS.register(
    "auto-deeplab", Notation(read_auto_deeplab, write_auto_deeplab, (1025, 2049), 19, {"channels": "filters"})
)
