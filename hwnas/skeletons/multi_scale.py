"""The multi-scale cell: a searched cell in the place of ASPP, as CAS has it (arXiv 1908.09550), and its head.

As text, a block is two branches joined by ``+``, blocks are parted by ``;``: ``1x1@f+p1x1@f;r2x2@0+skip@f``. A branch
is ``OP@INPUT``: the op is ``skip``, ``1x1``, ``rHxW`` or ``pHxW`` as in the dense prediction cell
(:mod:`hwnas.skeletons.dpc`), the input ``f``, the features projected to the head's width, or the number of an earlier
block. The two branches are added, the blocks concatenated and projected.

No cell of CAS was published, and how its cell is wired is known in outline only: this form, and the one that the head
takes where none is given, are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.gates import Gate, Is
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder
from hwnas.shapes import Value
from hwnas.skeletons.dpc import FEATURES, parse_branch
from hwnas.skeletons.heads import HEADS, Features, head_options, whole_option
from hwnas.skeletons.placing import full_size_logits, place_cell

SIDES = ("left", "right")
DEFAULT = "1x1@f+p1x1@f;r2x2@f+r4x4@f;r8x8@f+skip@1"


def multi_scale_cell(blocks: Sequence[tuple[str, str]]) -> Cell:
    """The cell of ``blocks``, each two branches as text; it leaves the channels to the skeleton."""
    nodes = [Node("input", "conv_1x1", (FEATURES,))]
    for number, branches in enumerate(blocks):
        ends = []
        for side, text in zip(SIDES, branches, strict=True):
            nodes.append(_branch_node(f"block{number}_{side}", text, number))
            ends.append(nodes[-1].name)
        nodes.append(Node(f"block{number}", "add", tuple(ends)))
    return _completed(nodes, len(blocks))


def open_multi_scale_cell(blocks: Sequence[Sequence[tuple[str, Sequence[str]]]]) -> Cell:
    """The cell with all branches; for both sides of each block (the choice that gates them, its branches as text)."""
    nodes = [Node("input", "conv_1x1", (FEATURES,))]
    for number, sides in enumerate(blocks):
        ends: list[str] = []
        gates: dict[int, Gate] = {}
        for side, (choice, branches) in zip(SIDES, sides, strict=True):
            for place, text in enumerate(branches):
                gates[len(ends)] = Is(choice, text)
                nodes.append(_branch_node(f"block{number}_{side}{place}", text, number))
                ends.append(nodes[-1].name)
        nodes.append(Node(f"block{number}", "add", tuple(ends), gates=gates))
    return _completed(nodes, len(blocks))


def _branch_node(name: str, text: str, number: int) -> Node:
    op, params, source = _branch(text, number)
    return Node(name, op, ("input" if source < 0 else f"block{source}",), params)


def _completed(nodes: Sequence[Node], blocks: int) -> Cell:
    names = tuple(f"block{number}" for number in range(blocks))
    ends_of_cell = [Node("concat", "concat", names), Node("project", "conv_1x1", ("concat",))]
    return Cell.of([FEATURES], [*nodes, *ends_of_cell], "project", where="multi-scale cell")


def parse_blocks(text: str) -> list[tuple[str, str]]:
    """The blocks of a cell's text; GenotypeError that names the block at fault."""
    blocks = []
    for number, part in enumerate(text.split(";")):
        branches = [branch.strip() for branch in part.split("+")]
        if len(branches) != 2:
            raise GenotypeError(
                f"block {number} of the multi-scale cell is {part!r}", "a block is two branches, like 1x1@f+p1x1@f"
            )
        for branch in branches:
            _branch(branch, number)
        blocks.append((branches[0], branches[1]))
    return blocks


def _branch(text: str, number: int) -> tuple[str, dict[str, Value], int]:
    """Op, parameters and input (-1: the features) of a branch of block ``number``."""
    where = f"block {number} of the multi-scale cell"
    if text.startswith("skip@"):
        return "skip_connect", {}, parse_branch("1x1" + text[4:], number, where).source
    branch = parse_branch(text, number, where)
    if branch.kind == "1x1":
        return "conv_1x1", {}, branch.source
    op, parameter = ("atrous_sep_conv_3x3", "rates") if branch.kind == "r" else ("grid_pool", "grid")
    return op, {parameter: branch.size}, branch.source


def place_multi_scale(builder: GraphBuilder, cell: Cell, features: Features, classes: int, *, width: int) -> str:
    """``cell`` on the coarsest features with ``width`` channels, and full-size logits."""
    context = place_cell(builder, cell, "head", {cell.inputs[0]: features[max(features)]}, channels=width)
    return full_size_logits(builder, context, classes)


def multi_scale(builder: GraphBuilder, features: Features, classes: int, argument: str = "") -> str:
    """The head ``multi-scale-cell:CELL``; ``width`` (128) behind a comma."""
    text, _, rest = argument.partition(",")
    options = head_options("multi-scale-cell", rest, {"width": "128"})
    cell = multi_scale_cell(parse_blocks(text or DEFAULT))
    return place_multi_scale(builder, cell, features, classes, width=whole_option("multi-scale-cell", options, "width"))


HEADS.register("multi-scale-cell", multi_scale)
