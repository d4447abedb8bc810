"""``mbconv``: kernel and expansion of every block of a MobileNetV2, as ProxylessNAS searches them (arXiv 1812.00332).

Size: 6^6 * 7^15 = 2.2e17 genotypes. Macro parameters (the authors' supernet at width 1): a 3x3 convolution with 32
channels at stride 2; a block with expansion 1 and 16 channels; stages of 4, 4, 4, 4, 4 and 1 blocks with 24, 40, 80,
96, 192 and 320 channels, which begin with strides of 2, 2, 2, 1, 2 and 1. Choice ``stageN.blockI``: kernel 3, 5 or 7
and expansion 3 or 6; blocks that keep the shape may also be left out (``skip``).

``mbconv`` segments: the last stage that strides dilates instead (output stride 16) and an LR-ASPP head follows.
``mbconv-imagenet`` is the classifier: a 1x1 convolution with 1280 channels, the mean, a linear layer.

Relaxation: the same choices, soft; all blocks of a place, each with weights of its own, and their weighted sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.gates import Is
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions
from hwnas.spaces.relaxed import Probabilities, most_probable, own_options

if TYPE_CHECKING:
    from torch import Tensor

Place = Callable[[int, int, str], list[Node]]
"""(Stage, block, what it takes) → its nodes, the last of which gives its output and is called ``blockI``."""

STEM = 32
WIDTHS = (16, 24, 40, 80, 96, 192, 320)
REPEATS = (1, 4, 4, 4, 4, 4, 1)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
BLOCKS = {f"k{kernel}_e{expansion}": (kernel, expansion) for kernel in (3, 5, 7) for expansion in (3, 6)}


class MBConvSpace:
    """The space; see the module's docstring.

    ``params`` are the skeleton's that say the head; ``tail``: channels of a 1x1 convolution before it, 0 for none;
    ``shrink`` divides all widths but the tail's.
    """

    def __init__(self, name: str, params: dict[str, Value], tail: int = 0, shrink: int = 1) -> None:
        self.name = name
        self._params, self._tail, self._shrink = params, tail, shrink
        choices = []
        for stage, repeats in enumerate(REPEATS[1:], start=2):
            for block in range(1, repeats + 1):
                options = (*BLOCKS, "skip") if block > 1 else tuple(BLOCKS)
                choices.append(Choice(f"stage{stage}.block{block}", options))
        self.choices: Sequence[Choice] = tuple(choices)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        def place(stage: int, block: int, source: str) -> list[Node]:
            return [_option(f"block{block}", source, str(decisions[f"stage{stage}.block{block}"]))]

        return Candidate(self._genotype(place))

    @property
    def relaxation(self) -> Sequence[Choice]:
        return self.choices

    def supergraph(self, input_shape: Shape, classes: int) -> OpGraph:
        """All options of every place, summed."""
        options = {choice.name: [str(option) for option in choice.options] for choice in self.choices}

        def place(stage: int, block: int, source: str) -> list[Node]:
            name, choice = f"block{block}", f"stage{stage}.block{block}"
            nodes = [_option(f"{name}/{option}", source, option) for option in options[choice]]
            gates = {slot: Is(choice, option) for slot, option in enumerate(options[choice])}
            return [*nodes, Node(name, "add", tuple(node.name for node in nodes), gates=gates)]

        return expand(self._genotype(place), input_shape, classes)

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        return own_options(self.choices, decisions)

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The likeliest option of every place."""
        return most_probable(self, probabilities)

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(probabilities)

    def _genotype(self, place: Place) -> Genotype:
        stem: dict[str, Value] = {"channels": STEM // self._shrink, "stride": 2, "activation": "relu6"}
        cells = {
            "stem": Cell.of(["x"], [Node("conv", "conv_3x3", ("x",), stem)], "conv"),
            "stage1": Cell.of(["x"], [_block("block1", "x", 3, 1)], "block1"),
        }
        for stage, repeats in enumerate(REPEATS[1:], start=2):
            nodes: list[Node] = []
            for block in range(1, repeats + 1):
                nodes += place(stage, block, nodes[-1].name if nodes else "x")
            cells[f"stage{stage}"] = Cell.of(["x"], nodes, nodes[-1].name, where=f"stage{stage}")
        if self._tail:
            tail: dict[str, Value] = {"channels": self._tail, "activation": "relu6"}
            cells["tail"] = Cell.of(["x"], [Node("conv", "conv_1x1", ("x",), tail)], "conv")
        stages: dict[str, Value] = {"strides": STRIDES, "widths": tuple(width // self._shrink for width in WIDTHS)}
        return Genotype(self.name, "backbone", cells, {**stages, **self._params})


def _option(name: str, source: str, option: str) -> Node:
    return Node(name, "skip_connect", (source,)) if option == "skip" else _block(name, source, *BLOCKS[option])


def _block(name: str, source: str, kernel: int, expansion: int) -> Node:
    return Node(name, f"inverted_residual_{kernel}x{kernel}", (source,), {"expansion": expansion})


SPACES.register("mbconv", MBConvSpace("mbconv", {"head": "lraspp", "dilated_stages": 1}))
SPACES.register("mbconv-imagenet", MBConvSpace("mbconv-imagenet", {"head": "classify"}, tail=1280))
