"""Choices of a searched cell, for spaces to share: blocks of two edges, each an op on an earlier state."""

from __future__ import annotations

from hwnas.ir.cell import Cell
from hwnas.ir.gates import All, Gate, Is
from hwnas.ir.node import Node
from hwnas.skeletons.searched_cell import INPUTS
from hwnas.skeletons.states import OUTPUT, Block, Edge, cell_of_blocks
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


def open_cell(prefix: str, blocks: int, ops: tuple[str, ...]) -> Cell:
    """Every op on every state that a side of a block can take, gated by the side's choices of state and of op."""
    states = (*INPUTS, *(f"state{number}" for number in range(2, blocks + 2)))
    nodes = []
    for number in range(blocks):
        name, ends = states[number + 2], list[str]()
        gates: dict[int, Gate] = {}
        for side in SIDES:
            choice = f"{prefix}.block{number}.{side}"
            for state in range(number + 2):
                for op in ops:
                    gates[len(ends)] = All(Is(f"{choice}.state", state), Is(f"{choice}.op", op))
                    ends.append(f"{name}/{side}{state}/{op}")
                    nodes.append(Node(ends[-1], op, (states[state],)))
        nodes.append(Node(name, "add", tuple(ends), gates=gates))
    return Cell.of(INPUTS, [*nodes, Node(OUTPUT, "concat", states[2:])], OUTPUT, where=prefix)
