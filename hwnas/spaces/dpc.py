"""``dpc``: the dense prediction cell (arXiv 1809.04184) on a MobileNetV2.

Size: 5! * 81^5 = 4.2e11 cells, as in the paper. Macro parameters: MobileNetV2 at width 1 (arXiv 1801.04381) up to its
block of 320 channels, at output stride 16 (the last stage that strides dilates instead); 5 branches of 256 channels,
concatenated and projected to 256; no decoder. Choices, for branch B from 0 on:

- ``branchB.op``: a 1x1 convolution (``1x1``), an atrous 3x3 separable convolution with rates h and w out of 1, 3, 6, 9,
  12, 15, 18 and 21 (``rHxW``), or pyramid pooling with a grid of h by w cells out of 1, 2, 4 and 8 (``pHxW``): 81 ops.
- ``branchB.input``: the features (``f``) or an earlier branch.

Rates up to 21 need features of at least 22x22 pixels: images of 352x352.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.skeletons.dpc import FEATURES, GRIDS, RATES, Branch, dpc_cell, parse_branches
from hwnas.skeletons.mobilenet_v2 import LAYERS
from hwnas.skeletons.mobilenet_v2 import STEM as STEM_WIDTH
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

OPS = (
    "1x1",
    *(f"r{height}x{width}" for height in RATES for width in RATES),
    *(f"p{height}x{width}" for height in GRIDS for width in GRIDS),
)
BRANCHES = 5
WIDTH = 256


class DPCSpace:
    """The space; see the module's docstring."""

    takes_backbone = True

    def __init__(self, *, branches: int = BRANCHES, width: int = WIDTH) -> None:
        self.name = "dpc"
        self._branches, self._width = branches, width
        choices = []
        for number in range(branches):
            choices.append(Choice(f"branch{number}.op", OPS))
            choices.append(Choice(f"branch{number}.input", ("f", *map(str, range(number)))))
        self.choices: Sequence[Choice] = tuple(choices)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        branches = (
            f"{decisions[f'branch{number}.op']}@{decisions[f'branch{number}.input']}"
            for number in range(self._branches)
        )
        return Candidate(dpc_on_mobilenet_v2(parse_branches(";".join(branches)), "dpc", width=self._width))


def dpc_on_mobilenet_v2(branches: Sequence[Branch], name: str, *, width: int = WIDTH) -> Genotype:
    """The genotype of a dense prediction cell on MobileNetV2 at output stride 16, its cell being ``decoder``."""
    stem: dict[str, Value] = {"channels": STEM_WIDTH, "stride": 2, "activation": "relu6"}
    cells = {"stem": Cell.of(["x"], [Node("conv", "conv_3x3", ("x",), stem)], "conv")}
    for stage, (expansion, _, repeats, _) in enumerate(LAYERS, start=1):
        blocks, source = [], "x"
        for block in range(1, repeats + 1):
            blocks.append(Node(f"block{block}", "inverted_residual_3x3", (source,), {"expansion": expansion}))
            source = f"block{block}"
        cells[f"stage{stage}"] = Cell.of(["x"], blocks, source)
    cells["decoder"] = as_decoder(dpc_cell(branches), width)
    params: dict[str, Value] = {
        "strides": tuple(stride for *_, stride in LAYERS),
        "widths": tuple(channels for _, channels, _, _ in LAYERS),
        "dilated_stages": 1,
        "head": "cell",
    }
    return Genotype(name, "backbone", cells, params)


def as_decoder(cell: Cell, width: int) -> Cell:
    """``cell`` on the features of stride 16, with ``width`` channels everywhere, and the classifier behind it."""
    nodes = []
    for node in cell.nodes:
        inputs = tuple("s16" if source == FEATURES else source for source in node.inputs)
        params = dict(node.params) if node.op == "concat" else {"channels": width, **node.params}
        nodes.append(Node(node.name, node.op, inputs, params))
    return Cell.of(["s16"], [*nodes, Node("classifier", "seg_head", (cell.output,))], "classifier", where="decoder")


SPACES.register("dpc", DPCSpace())
