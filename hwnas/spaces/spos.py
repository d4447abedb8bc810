"""``spos``: single-path one-shot's space (Guo et al., arXiv 1904.00420), a ShuffleNetV2 with a choice in each block.

Size: 4^20 = 1.1e12 genotypes. Macro parameters: a 3x3 convolution with 16 channels at stride 2; four stages of 4, 4, 8
and 4 blocks with 64, 160, 320 and 640 channels, each of which begins with a stride of 2. Choice ``stageN.blockI``: a
shuffle block with kernel 3, 5 or 7, or the xception block of three depthwise convolutions.

``spos`` segments: the last stage dilates instead of striding (output stride 16) and an LR-ASPP head follows.
``spos-imagenet`` is the paper's classifier: a 1x1 convolution with 1024 channels, the mean, a linear layer, no bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

BLOCKS = ("shuffle_3x3", "shuffle_5x5", "shuffle_7x7", "shuffle_xception")
"""In the order of the published notation, where a block is a number from 0 to 3."""


@dataclass(frozen=True)
class ShuffleNet:
    """The fixed parts: blocks in each stage, channels of the stem and each stage.

    ``tail``: channels of the 1x1 convolution behind them, 0 for none; ``biased_stem``: DetNAS's stem has a bias.
    """

    repeats: tuple[int, ...] = (4, 4, 8, 4)
    channels: tuple[int, ...] = (16, 64, 160, 320, 640)
    tail: int = 0
    biased_stem: bool = False


def shuffle_genotype(
    name: str, net: ShuffleNet, blocks: Sequence[int], params: dict[str, Value], scales: Sequence[float] = ()
) -> Genotype:
    """The genotype of ``blocks``, one number from 0 to 3 each; ``params`` are the skeleton's that say the head.

    ``scales`` are the blocks' hidden widths relative to half their output's (SPOS's channel search), 1 if not given.
    """
    if len(blocks) != sum(net.repeats) or not set(blocks) <= set(range(len(BLOCKS))):
        raise GenotypeError(
            f"{name}: an architecture is {sum(net.repeats)} numbers from 0 to {len(BLOCKS) - 1}, not {list(blocks)}"
        )
    if scales and len(scales) != len(blocks):
        raise GenotypeError(f"{name}: there are {len(scales)} channel scales for {len(blocks)} blocks")
    stem = Node("conv", "biased_conv_3x3" if net.biased_stem else "conv_3x3", ("x",), _stem(net))
    cells = {"stem": Cell.of(["x"], [stem], "conv", where="stem")}
    done = 0
    for stage, (repeats, width) in enumerate(zip(net.repeats, net.channels[1:], strict=True), start=1):
        nodes, source = [], "x"
        for index in range(1, repeats + 1):
            hidden = {"hidden": int(width // 2 * scales[done])} if scales else {}
            nodes.append(Node(f"block{index}", BLOCKS[blocks[done]], (source,), hidden))
            source, done = f"block{index}", done + 1
        cells[f"stage{stage}"] = Cell.of(["x"], nodes, source, where=f"stage{stage}")
    if net.tail:
        cells["tail"] = Cell.of(["x"], [Node("conv", "conv_1x1", ("x",), {"channels": net.tail})], "conv")
    stages: dict[str, Value] = {"strides": (2,) * len(net.repeats), "widths": net.channels[1:]}
    return Genotype(name, "backbone", cells, {**stages, **params})


def _stem(net: ShuffleNet) -> dict[str, Value]:
    return {"channels": net.channels[0], "stride": 2}


class SposSpace:
    """The space; see the module's docstring."""

    def __init__(self, name: str, net: ShuffleNet, params: dict[str, Value]) -> None:
        self.name = name
        self._net, self._params = net, params
        places = [(stage, block) for stage, count in enumerate(net.repeats, 1) for block in range(1, count + 1)]
        self.choices: Sequence[Choice] = tuple(Choice(f"stage{stage}.block{block}", BLOCKS) for stage, block in places)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        blocks = [BLOCKS.index(str(decisions[choice.name])) for choice in self.choices]
        return Candidate(shuffle_genotype(self.name, self._net, blocks, self._params))


SPACES.register("spos", SposSpace("spos", ShuffleNet(), {"head": "lraspp", "dilated_stages": 1}))
SPACES.register(
    "spos-imagenet", SposSpace("spos-imagenet", ShuffleNet(tail=1024), {"head": "classify", "classifier_bias": False})
)
