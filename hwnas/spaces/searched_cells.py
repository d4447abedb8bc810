"""Choices of a searched cell, for spaces to share: blocks of two edges, each an op on an earlier state."""

from __future__ import annotations

from hwnas.ir.cell import Cell
from hwnas.skeletons.states import Block, Edge, cell_of_blocks
from hwnas.spaces.base import Choice, Decisions

SIDES = ("left", "right")


def cell_choices(prefix: str, blocks: int, ops: tuple[str, ...]) -> list[Choice]:
    """``PREFIX.blockB.left.state`` and ``.op`` and the right ones: 0 and 1 are the cell's inputs, 2 is block 0."""
    choices = []
    for number in range(blocks):
        for side in SIDES:
            choices.append(Choice(f"{prefix}.block{number}.{side}.state", tuple(range(number + 2))))
            choices.append(Choice(f"{prefix}.block{number}.{side}.op", ops))
    return choices


def decided_cell(prefix: str, blocks: int, decisions: Decisions) -> Cell:
    """The cell of the decisions over :func:`cell_choices`; it concatenates all its blocks."""
    found = []
    for number in range(blocks):
        edges = []
        for side in SIDES:
            state = decisions[f"{prefix}.block{number}.{side}.state"]
            assert isinstance(state, int)
            edges.append(Edge(str(decisions[f"{prefix}.block{number}.{side}.op"]), state))
        found.append(Block(edges[0], edges[1]))
    return cell_of_blocks(found, range(2, blocks + 2), where=prefix)
