"""What the notations of mobile nets share: a chain of blocks, cut into the stages of the ``backbone`` skeleton."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Params, Value


@dataclass(frozen=True)
class Block:
    """An op with its parameters apart from channels and stride; ``new_stage`` where the notation begins one."""

    op: str
    channels: int
    stride: int
    params: Params
    new_stage: bool = False


def chain_genotype(
    name: str,
    stem: Block,
    blocks: Iterable[Block],
    tail: Block | None,
    params: Mapping[str, Value],
    decoder: Cell | None = None,
) -> Genotype:
    """The ``backbone`` genotype of a chain. A stage begins where a block strides, changes the width or says so.

    ``params`` are the skeleton's that say the head; ``decoder`` is the cell of the head ``cell``.
    """
    stages: list[list[Block]] = []
    for block in blocks:
        begins = block.stride > 1 or block.new_stage or not stages or stages[-1][0].channels != block.channels
        stages += [[]] if begins else []
        stages[-1].append(block)
    cells = {"stem": _single(stem)} | ({"tail": _single(tail)} if tail else {})
    for index, stage in enumerate(stages, start=1):
        names = ["x", *(f"block{place}" for place in range(1, len(stage) + 1))]
        nodes = [Node(names[i + 1], block.op, (names[i],), block.params) for i, block in enumerate(stage)]
        cells[f"stage{index}"] = Cell.of(["x"], nodes, names[-1], where=f"stage{index}")
    if decoder is not None:
        cells["decoder"] = decoder
    stages_params: dict[str, Value] = {
        "strides": tuple(stage[0].stride for stage in stages),
        "widths": tuple(stage[0].channels for stage in stages),
    }
    return Genotype(name, "backbone", cells, {**stages_params, **params})


def _single(block: Block) -> Cell:
    given: dict[str, Value] = {"channels": block.channels}
    if block.stride > 1:
        given["stride"] = block.stride
    return Cell.of(["x"], [Node("conv", block.op, ("x",), {**block.params, **given})], "conv")
