"""``crnas``: computation reallocation (CR-NAS, arXiv 1912.11234): a backbone's blocks moved between its stages.

Two levels. First the allocation: how many blocks each of the four stages (strides 4, 8, 16, 32) has, under a fixed
total; in a ResNet, where the width doubles with each stride, a block costs the same in every stage. Then a dilation of
1, 2 or 3 for each block, which costs nothing. Choices: ``allocation``, a tuple of four numbers, and
``blockI.dilation``, blocks counted through all stages (of a bottleneck and an inverted residual its 3x3 convolution
dilates, of a basic block the second).

Options for the stages of a ResNet are the paper's: 1 to 10 in the first two; 2, 3, 5, 6, 9, 11, 14, 17, 20, 23 in the
third; 2, 3, 4, 6, 7, 9, 11, 13, 15, 17 in the fourth; the total is the original's. (For ResNet101 the paper speaks of
33^3 allocations: all ways to cut 33 blocks, before it thins the options out.)

| space | family | blocks | allocations | size |
|---|---|---|---|---|
| ``crnas`` | ResNet50, bottlenecks | 16 | 153 | 153 * 3^16 = 6.6e9 |
| ``crnas-resnet101`` | ResNet101 | 33 | 374 | 374 * 3^33 = 2.1e18 |
| ``crnas-resnet18`` | ResNet18, basic blocks | 8 | 9 | 9 * 3^8 = 5.9e4 |
| ``crnas-mobilenetv2`` | MobileNetV2 | 16 | 175 | 175 * 3^16 = 7.5e9 |

The paper's options for MobileNetV2 are in an appendix that could not be read; ours are 1 to 5, 1 to 6, 2 to 12 and 2 to
8 blocks, after a first one that stays. Its third stage has 64 and then 96 channels in the original's proportion, its
fourth 160 and, in the last block, 320. All four segment with a feature pyramid head.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

DILATIONS = (1, 2, 3)
RESNET_STAGES = (
    tuple(range(1, 11)),
    tuple(range(1, 11)),
    (2, 3, 5, 6, 9, 11, 14, 17, 20, 23),
    (2, 3, 4, 6, 7, 9, 11, 13, 15, 17),
)
MOBILENET_STAGES = (tuple(range(1, 6)), tuple(range(1, 7)), tuple(range(2, 13)), tuple(range(2, 9)))
STRIDES = (1, 2, 2, 2)


@dataclass(frozen=True)
class Family:
    """A backbone: the kind of its blocks, the blocks of each stage in the original, and the options of each stage."""

    kind: str
    original: tuple[int, int, int, int]
    stages: tuple[tuple[int, ...], ...]

    @property
    def allocations(self) -> tuple[tuple[int, ...], ...]:
        """All allocations with the original's number of blocks."""
        total = sum(self.original)
        return tuple(counts for counts in itertools.product(*self.stages) if sum(counts) == total)


def crnas_genotype(
    name: str,
    family: Family,
    allocation: Sequence[int],
    dilations: Sequence[int],
    head: str = "fpn",
    shrink: int = 1,
) -> Genotype:
    """The genotype of an allocation and a dilation for each block; ``shrink`` divides all widths."""
    assert len(dilations) == sum(allocation)
    rest = list(dilations)
    per_stage = [tuple(rest.pop(0) for _ in range(count)) for count in allocation]
    if family.kind == "mobilenetv2":
        return _mobilenet(name, per_stage, head, shrink)
    narrowest = 64 // shrink * (1 if family.kind == "basic" else 4)
    widths = tuple(narrowest * 2**stage for stage in range(4))
    cells = {"stem": _resnet_stem(64 // shrink)}
    for stage, found in enumerate(per_stage, start=1):
        stays = family.kind == "basic" and stage == 1
        nodes = _basic_blocks(found, projects=not stays) if family.kind == "basic" else _bottlenecks(found)
        cells[f"stage{stage}"] = Cell.of(["x"], nodes, f"block{len(found)}", where=f"stage{stage}")
    return Genotype(name, "backbone", cells, {"strides": STRIDES, "widths": widths, "head": head})


def _resnet_stem(width: int) -> Cell:
    conv = Node("conv", "conv_7x7", ("x",), {"channels": width, "stride": 2})
    return Cell.of(["x"], [conv, Node("pool", "max_pool_3x3", ("conv",), {"stride": 2})], "pool")


def _bottlenecks(dilations: Sequence[int]) -> list[Node]:
    sources = ["x", *(f"block{i}" for i in range(1, len(dilations)))]
    return [
        Node(f"block{i}", "bottleneck", (source,), {"dilation": dilation})
        for i, (source, dilation) in enumerate(zip(sources, dilations, strict=True), start=1)
    ]


def _basic_blocks(dilations: Sequence[int], *, projects: bool) -> list[Node]:
    """Basic blocks node by node, for only their second convolution dilates. Strides are the skeleton's, as always."""
    nodes, source = [], "x"
    for i, dilation in enumerate(dilations, start=1):
        name, shortcut = f"block{i}", source
        nodes.append(Node(f"{name}_a", "conv_3x3", (source,), {"dilation": 1}))
        nodes.append(Node(f"{name}_b", "conv_3x3", (f"{name}_a",), {"activation": "none", "dilation": dilation}))
        if projects and i == 1:
            shortcut = f"{name}_shortcut"
            nodes.append(Node(shortcut, "conv_1x1", (source,), {"activation": "none"}))
        nodes.append(Node(f"{name}_sum", "add", (f"{name}_b", shortcut)))
        nodes.append(Node(name, "relu", (f"{name}_sum",)))
        source = name
    return nodes


def _mobilenet(name: str, per_stage: Sequence[Sequence[int]], head: str, shrink: int) -> Genotype:
    """The stem's layers are one stage with the first block; stages three and four change their width on the way."""
    third, fourth = len(per_stage[2]), len(per_stage[3])
    narrow = max(1, round(third * 4 / 7))
    parts = [
        (24, 2, per_stage[0]),
        (32, 2, per_stage[1]),
        (64, 2, per_stage[2][:narrow]),
        (96, 1, per_stage[2][narrow:]),
        (160, 2, per_stage[3][: fourth - 1]),
        (320, 1, per_stage[3][fourth - 1 :]),
    ]
    stem: dict[str, Value] = {"channels": 32 // shrink, "stride": 2, "activation": "relu6"}
    first: dict[str, Value] = {"channels": 16 // shrink, "expansion": 1}
    nodes = [Node("conv", "conv_3x3", ("x",), stem), Node("block", "inverted_residual_3x3", ("conv",), first)]
    cells = {"stem": Cell.of(["x"], nodes, "block", where="stem")}
    for place, (_, _, dilations) in enumerate(parts, start=1):
        sources = ["x", *(f"block{i}" for i in range(1, len(dilations)))]
        blocks = [
            Node(f"block{i}", "inverted_residual_3x3", (source,), {"expansion": 6, "dilation": dilation})
            for i, (source, dilation) in enumerate(zip(sources, dilations, strict=True), start=1)
        ]
        cells[f"stage{place}"] = Cell.of(["x"], blocks, f"block{len(dilations)}", where=f"stage{place}")
    strides, widths = tuple(stride for _, stride, _ in parts), tuple(width // shrink for width, _, _ in parts)
    return Genotype(name, "backbone", cells, {"strides": strides, "widths": widths, "head": head})


class CRNASSpace:
    """The space of one family; see the module's docstring. ``shrink`` divides all widths."""

    takes_backbone = True

    def __init__(self, name: str, family: Family, head: str = "fpn", shrink: int = 1) -> None:
        self.name, self.family = name, family
        self._head, self._shrink = head, shrink
        dilations = [Choice(f"block{i}.dilation", DILATIONS) for i in range(1, sum(family.original) + 1)]
        self.choices: Sequence[Choice] = (Choice("allocation", family.allocations), *dilations)
        self.reference: Decisions = {"allocation": family.original, **{choice.name: 1 for choice in dilations}}
        """The backbone as it was published."""

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        allocation = decisions["allocation"]
        assert isinstance(allocation, tuple)
        dilations = [int(str(decisions[choice.name])) for choice in self.choices[1:]]
        counts = [int(str(count)) for count in allocation]
        return Candidate(crnas_genotype(self.name, self.family, counts, dilations, self._head, self._shrink))


FAMILIES = {
    "crnas": Family("bottleneck", (3, 4, 6, 3), RESNET_STAGES),
    "crnas-resnet101": Family("bottleneck", (3, 4, 23, 3), RESNET_STAGES),
    "crnas-resnet18": Family("basic", (2, 2, 2, 2), RESNET_STAGES),
    "crnas-mobilenetv2": Family("mobilenetv2", (2, 3, 7, 4), MOBILENET_STAGES),
}
for _name, _family in FAMILIES.items():
    SPACES.register(_name, CRNASSpace(_name, _family))
