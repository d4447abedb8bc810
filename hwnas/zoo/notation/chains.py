"""What the notations of mobile nets share: a chain of blocks, cut into the stages of the ``backbone`` skeleton."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hwnas.errors import GenotypeError
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


def chain_of(genotype: Genotype) -> tuple[Block, list[Block], Block | None]:
    """The stem, the blocks and the tail of a ``backbone`` genotype whose cells are chains; else a GenotypeError."""
    if genotype.skeleton != "backbone":
        raise GenotypeError(f"{genotype.name} is of skeleton {genotype.skeleton}, not backbone")
    strides, widths = (genotype.params.get(name) for name in ("strides", "widths"))
    if not isinstance(strides, tuple) or not isinstance(widths, tuple):
        raise GenotypeError(f"{genotype.name} lacks the strides and widths of its stages")
    blocks = []
    for index, (stride, width) in enumerate(zip(strides, widths, strict=True), start=1):
        for place, node in enumerate(_chain(genotype, f"stage{index}")):
            own = {key: value for key, value in node.params.items() if key != "channels"}
            channels = node.params.get("channels", width)
            blocks.append(Block(node.op, int(str(channels)), int(str(stride)) if place == 0 else 1, own, place == 0))
    tail = _fixed(_chain(genotype, "tail")[0]) if "tail" in genotype.cells else None
    return _fixed(_chain(genotype, "stem")[0]), blocks, tail


def _chain(genotype: Genotype, role: str) -> tuple[Node, ...]:
    cell = genotype.cells.get(role)
    nodes = cell.nodes if cell is not None else ()
    sources = [cell.inputs[0], *(node.name for node in nodes)] if cell is not None else []
    linked = all(node.inputs == (source,) for node, source in zip(nodes, sources, strict=False))
    if cell is None or not nodes or not linked or cell.output != nodes[-1].name:
        raise GenotypeError(f"{genotype.name}: its cell {role!r} is not a chain of blocks")
    return nodes


def _fixed(node: Node) -> Block:
    rest = {key: value for key, value in node.params.items() if key not in ("channels", "stride")}
    return Block(node.op, int(str(node.params["channels"])), int(str(node.params.get("stride", 1))), rest)


def _single(block: Block) -> Cell:
    given: dict[str, Value] = {"channels": block.channels}
    if block.stride > 1:
        given["stride"] = block.stride
    return Cell.of(["x"], [Node("conv", block.op, ("x",), {**block.params, **given})], "conv")
