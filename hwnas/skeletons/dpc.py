"""The dense prediction cell (arXiv 1809.04184): branches on the features and on each other, concatenated.

As text, a branch is ``OP@INPUT``, branches are parted by ``;``: the op is ``1x1`` (a convolution), ``r6x21`` (an atrous
3x3 separable convolution with rates 6 for the height and 21 for the width) or ``p2x4`` (pyramid pooling with a grid of
2 by 4 cells); the input is ``f``, the features, or the number of an earlier branch from 0 on. Rates are those at output
stride 16 and are doubled at stride 8, as in the paper.

As in the authors' code (tensorflow/models, research/deeplab/core/dense_prediction_cell.py), all branches and the
concatenated ones are projected to 256 channels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder
from hwnas.shapes import Value
from hwnas.skeletons.deeplab_heads import decoded
from hwnas.skeletons.heads import HEADS, Features, head_options, whole_option
from hwnas.skeletons.placing import place_cell

RATES = (1, 3, 6, 9, 12, 15, 18, 21)
GRIDS = (1, 2, 4, 8)
FEATURES = "features"
PUBLISHED = "r1x6@f;r18x15@0;r6x3@1;r1x1@0;r6x21@0"
"""The best cell that was found on Cityscapes (dense_prediction_cell_branch5_top1_cityscapes.json)."""


@dataclass(frozen=True)
class Branch:
    """``kind`` is ``1x1``, ``r`` or ``p``, ``size`` its rates or its grid, ``source`` an earlier branch or -1."""

    kind: str
    size: tuple[int, int]
    source: int

    def __str__(self) -> str:
        op = self.kind if self.kind == "1x1" else f"{self.kind}{self.size[0]}x{self.size[1]}"
        return f"{op}@{'f' if self.source < 0 else self.source}"


def parse_branches(text: str) -> tuple[Branch, ...]:
    """The branches of a cell's text, or of ``published``; GenotypeError that names the branch at fault."""
    if text == "published":
        text = PUBLISHED
    parts = enumerate(text.split(";"))
    return tuple(parse_branch(part, number, f"branch {number} of the dense prediction cell") for number, part in parts)


def parse_branch(text: str, earlier: int, where: str) -> Branch:
    """One branch that may take one of ``earlier`` others; GenotypeError that begins with ``where``."""
    match = re.fullmatch(r"\s*(?:(1x1)|([rp])(\d{1,4})x(\d{1,4}))@(f|\d{1,4})\s*", text)
    if not match:
        raise GenotypeError(
            f"{where} is {text!r}",
            "a branch is like 1x1@f, r6x21@0 or p2x4@1: an op, and the features or an earlier branch",
        )
    source = -1 if match[5] == "f" else int(match[5])
    size = (int(match[3]), int(match[4])) if match[2] else (1, 1)
    if source >= earlier:
        raise GenotypeError(f"{where} takes {source}, which is not before it: {text.strip()!r}")
    if 0 in size:
        raise GenotypeError(f"{where} has a size of 0: {text.strip()!r}")
    return Branch(match[1] or match[2], size, source)


def dpc_cell(branches: Sequence[Branch], *, rate_factor: int = 1) -> Cell:
    """The cell of these branches: its input is ``features``; it leaves the channels to the skeleton."""
    nodes = []
    for number, branch in enumerate(branches):
        source = FEATURES if branch.source < 0 else f"branch{branch.source}"
        params: dict[str, Value] = {}
        if branch.kind == "r":
            op, params = "atrous_sep_conv_3x3", {"rates": tuple(rate * rate_factor for rate in branch.size)}
        elif branch.kind == "p":
            op, params = "grid_pool", {"grid": branch.size}
        else:
            op = "conv_1x1"
        nodes.append(Node(f"branch{number}", op, (source,), params))
    names = tuple(node.name for node in nodes)
    ends = [Node("concat", "concat", names), Node("project", "conv_1x1", ("concat",))]
    return Cell.of([FEATURES], [*nodes, *ends], "project", where="dense prediction cell")


def dpc(builder: GraphBuilder, features: Features, classes: int, argument: str = "") -> str:
    """The head ``dpc:CELL``: a dense prediction cell and DeepLabv3+'s decoder.

    ``CELL`` is ``published`` or branches as text. Options behind it, after commas: ``width`` of the branches (256), the
    ``decoder`` (the stride of the low-level features, or ``none``) and the ``kind`` of its convolutions.
    """
    text, _, rest = argument.partition(",")
    options = head_options("dpc", rest, {"width": "256", "decoder": "4", "kind": "separable"})
    stride = max(features)
    cell = dpc_cell(parse_branches(text or "published"), rate_factor=max(1, 16 // stride))
    context = place_cell(
        builder, cell, "head", {FEATURES: features[stride]}, channels=whole_option("dpc", options, "width")
    )
    return decoded(builder, context, features, classes, head="dpc", decoder=options["decoder"], kind=options["kind"])


HEADS.register("dpc", dpc)
