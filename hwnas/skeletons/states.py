"""Cells as papers list them: states numbered from the two inputs, each new one made of two ops on earlier states.

State 0 is the output of the cell before the last, 1 that of the last one, 2 the first block's, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.node import Node
from hwnas.skeletons.searched_cell import INPUTS

OUTPUT = "output"
COMBINATIONS = ("add", "concat")


@dataclass(frozen=True)
class Edge:
    """An op on the state with the number ``state``."""

    op: str
    state: int


@dataclass(frozen=True)
class Block:
    """A new state: two edges, added or concatenated."""

    left: Edge
    right: Edge
    combination: str = "add"


def unused_states(blocks: Sequence[Block]) -> tuple[int, ...]:
    """Numbers of the states that no block takes: NASNet and ENAS concatenate these."""
    taken = {edge.state for block in blocks for edge in (block.left, block.right)}
    return tuple(state for state in range(len(blocks) + 2) if state not in taken)


def cell_of_blocks(blocks: Sequence[Block], concatenated: Sequence[int], where: str = "cell") -> Cell:
    """The cell of ``blocks`` whose output joins the states ``concatenated``, in that order.

    GenotypeError for a state that does not exist yet, or nothing to concatenate.
    """
    names = list(INPUTS)
    nodes: list[Node] = []
    for block in blocks:
        name = f"state{len(names)}"
        ends = []
        for side, edge in (("a", block.left), ("b", block.right)):
            if not 0 <= edge.state < len(names):
                raise GenotypeError(
                    f"{where}: block {len(names) - 2} takes state {edge.state}, which is not there",
                    f"it can take 0 to {len(names) - 1}: 0 and 1 are the cell's inputs, 2 is block 0",
                )
            nodes.append(Node(f"{name}/{side}", edge.op, (names[edge.state],)))
            ends.append(nodes[-1].name)
        nodes.append(Node(name, block.combination, tuple(ends)))
        names.append(name)
    wrong = [state for state in concatenated if not 0 <= state < len(names)]
    if wrong or not concatenated or len(set(concatenated)) < len(concatenated):
        raise GenotypeError(
            f"{where}: the states {list(concatenated)} cannot be concatenated",
            f"name at least one of 0 to {len(names) - 1}, none twice",
        )
    nodes.append(Node(OUTPUT, "concat", tuple(names[state] for state in concatenated)))
    return Cell.of(INPUTS, nodes, OUTPUT, where=where)


def blocks_of_cell(cell: Cell, where: str = "cell") -> tuple[tuple[Block, ...], tuple[int, ...]]:
    """(blocks, concatenated states) of a cell made like those of :func:`cell_of_blocks`, whatever its nodes are called.

    GenotypeError for any other cell. Blocks whose order the wiring leaves open are ordered by their names.
    """
    joined = None if cell.output in cell.inputs else cell.node(cell.output)
    if joined is None or joined.op != "concat" or len(cell.inputs) != 2:
        raise GenotypeError(f"{where}: its output is not a concatenation of states")
    merges = [node for node in cell.nodes if node.op in COMBINATIONS and node.name != cell.output]
    ready = [node for node in merges if all(source not in cell.inputs for source in node.inputs)]
    number = {name: place for place, name in enumerate(cell.inputs)}
    blocks: list[Block] = []
    while ready:
        fits = [merge for merge in ready if all(_takes_known(cell.node(end), number) for end in merge.inputs)]
        if not fits:
            break
        merge = min(fits, key=lambda node: (len(node.name), node.name))
        ends = [cell.node(source) for source in merge.inputs]
        edges = [Edge(end.op, number[end.inputs[0]]) for end in ends]
        if len(edges) != 2 or any(end.params for end in ends):
            break
        blocks.append(Block(edges[0], edges[1], merge.op))
        number[merge.name] = len(number)
        ready.remove(merge)
    if len(cell.nodes) != 3 * len(blocks) + 1 or any(end not in number for end in joined.inputs):
        raise GenotypeError(f"{where}: it is not made of blocks of two ops on earlier states")
    return tuple(blocks), tuple(number[end] for end in joined.inputs)


def _takes_known(end: Node, number: dict[str, int]) -> bool:
    return len(end.inputs) == 1 and end.inputs[0] in number
