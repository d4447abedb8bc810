"""A space of networks that train in a moment, and images of two classes for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.data.cache import Arrays
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.search.evaluators.images import Images
from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

SIZE_HW = (32, 48)
CLASSES = 2


class TinySpace:
    """A backbone that no choice touches, and a decoder of one or two blocks on its features of stride 8."""

    name = "tiny"
    takes_backbone = True
    choices: Sequence[Choice] = (
        Choice("first", ("conv_1x1", "conv_3x3", "ds_conv_3x3")),
        Choice("depth", (1, 2)),
        Choice("second", ("conv_3x3", "ds_conv_3x3"), {"depth": (2,)}),
    )

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        stem: dict[str, Value] = {"channels": 8, "stride": 2}
        nodes = [Node("first", str(decisions["first"]), ("s8",), {"channels": 8})]
        if decisions["depth"] == 2:
            nodes.append(Node("second", str(decisions["second"]), ("first",), {"channels": 8}))
        nodes.append(Node("classifier", "seg_head", (nodes[-1].name,)))
        cells = {
            "stem": Cell.of(["x"], [Node("conv", "conv_3x3", ("x",), stem)], "conv"),
            "stage1": Cell.of(["x"], [Node("block1", "conv_3x3", ("x",))], "block1"),
            "stage2": Cell.of(["x"], [Node("block1", "conv_3x3", ("x",))], "block1"),
            "decoder": Cell.of(["s8"], nodes, "classifier"),
        }
        return Candidate(Genotype("tiny", "backbone", cells, {"strides": (2, 2), "widths": (8, 16), "head": "cell"}))


def tiny_images(count: int = 12, held: int = 4, seed: int = 0) -> Images:
    """Noisy pictures whose lower part, from a random row on, is brighter and of class 1."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *SIZE_HW), np.uint8)
    for mask in masks:
        mask[int(rng.integers(8, 24)) :] = 1
    pictures = 90 + 80 * masks[..., None] + rng.integers(0, 60, (count, *SIZE_HW, 3))
    arrays = Arrays(pictures.astype(np.uint8), masks, tuple(f"{i:02}" for i in range(count)))
    return Images(arrays, np.arange(held, count), np.arange(held), CLASSES, f"tiny {count} {seed}")
