"""``realtime``: the default space, an encoder–decoder made for low latency.

Size: about 5.1e17 genotypes (``decisions.size``). Macro parameters: a stem at stride 2 and four stages at strides 4, 8,
16 and 32 (the last may dilate instead of stride). Choices:

- ``stem.width``, ``stageN.width``: channels. Multiples of 16 but for the stem, since engines block channels.
- ``stageN.depth``: blocks in the stage; ``stageN.blockI``: the op of each, with its kernel and expansion. The first
  block of a stage strides and changes the width; it chooses among fewer ops.
- ``dilate``: whether the last stage keeps stride 16 and dilates by 2.
- ``context``: what turns the deepest features into the decoder's; ``head.width``: channels everywhere in the decoder.
- ``head.stride``: output stride of the head. ``fuseS``: how the features of stride S, coarser than the head, join (not
  at all, or their projection is added or concatenated); ``fuseS.refine``: the op after joining. ``head.fuse`` and
  ``head.refine``: the same at the head's own scale, which always joins.

Relaxation: the same choices, soft (:mod:`hwnas.spaces.realtime_supergraph`). Widths are mixed as in FBNetV2 (arXiv
2004.05565); ``dilate`` changes sizes and cannot be mixed, only sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions
from hwnas.spaces.realtime_supergraph import RealtimeSupergraph
from hwnas.spaces.relaxed import Probabilities, most_probable, own_options

if TYPE_CHECKING:
    from torch import Tensor

FIRST_BLOCKS = ("conv_3x3", "ds_conv_3x3", "mbconv_e4_k3")
BLOCKS = ("conv_3x3", "basic_block", "ds_conv_3x3", "mbconv_e2_k3", "mbconv_e4_k3", "mbconv_e4_k5")
STEM_WIDTHS = (8, 16, 24, 32)
WIDTHS = ((16, 32, 48, 80), (32, 48, 80, 144), (48, 80, 144, 288), (64, 112, 208, 400))
MAX_DEPTHS = (3, 4, 5, 3)
CONTEXTS = ("conv_1x1", "lraspp", "pyramid_pool")
HEAD_WIDTHS = (32, 64, 96, 192)
REFINES = ("skip_connect", "ds_conv_3x3", "conv_3x3")
SCALES = {16: "stage3", 8: "stage2", 4: "stage1"}


def _stage_choices(stage: int) -> list[Choice]:
    depths = tuple(range(1, MAX_DEPTHS[stage - 1] + 1))
    choices = [Choice(f"stage{stage}.width", WIDTHS[stage - 1]), Choice(f"stage{stage}.depth", depths)]
    for block in depths:
        condition = {f"stage{stage}.depth": depths[block - 1 :]} if block > 1 else {}
        choices.append(Choice(f"stage{stage}.block{block}", FIRST_BLOCKS if block == 1 else BLOCKS, condition))
    return choices


def _fuse_choices() -> list[Choice]:
    choices = []
    for scale in list(SCALES)[:-1]:
        finer: tuple[Value, ...] = tuple(other for other in SCALES if other < scale)
        choices.append(Choice(f"fuse{scale}", ("skip", "add", "concat"), {"head.stride": finer}))
        choices.append(Choice(f"fuse{scale}.refine", REFINES, {f"fuse{scale}": ("add", "concat")}))
    return [*choices, Choice("head.fuse", ("add", "concat")), Choice("head.refine", REFINES)]


class RealtimeSpace:
    """The space; see the module's docstring."""

    name = "realtime"

    def __init__(self) -> None:
        choices = [Choice("stem.width", STEM_WIDTHS)]
        for stage in range(1, 5):
            choices += _stage_choices(stage)
        choices += [
            Choice("dilate", (False, True)),
            Choice("context", CONTEXTS),
            Choice("head.width", HEAD_WIDTHS),
            Choice("head.stride", tuple(SCALES)),
            *_fuse_choices(),
        ]
        self.choices: Sequence[Choice] = tuple(choices)
        self.relaxation = self.choices

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        """The genotype of ``decisions``; choices that are not active are ignored."""
        cells = {f"stage{stage}": _stage_cell(decisions, stage) for stage in range(1, 5)}
        cells["decoder"] = _decoder_cell(decisions)
        params: dict[str, Value] = {
            "stem_width": decisions["stem.width"],
            "widths": tuple(decisions[f"stage{stage}.width"] for stage in range(1, 5)),
            "head_width": decisions["head.width"],
            "dilated_stages": 1 if decisions["dilate"] else 0,
        }
        return Candidate(Genotype("realtime", "encoder_decoder", cells, params))

    def supergraph(self, input_shape: Shape, classes: int) -> OpGraph:
        """All networks at once, at the largest widths, with the last stage striding."""
        return RealtimeSupergraph(self.choices, SCALES, input_shape, classes).build()

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        """The decisions themselves."""
        return own_options(self.choices, decisions)

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The likeliest option of every choice."""
        return most_probable(self, probabilities)

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The probabilities themselves."""
        return dict(probabilities)


def _stage_cell(decisions: Decisions, stage: int) -> Cell:
    depth = decisions[f"stage{stage}.depth"]
    assert isinstance(depth, int)
    nodes, source = [], "x"
    for block in range(1, depth + 1):
        nodes.append(Node(f"block{block}", str(decisions[f"stage{stage}.block{block}"]), (source,)))
        source = f"block{block}"
    return Cell.of(["x"], nodes, source, where=f"stage{stage}")


def _decoder_cell(decisions: Decisions) -> Cell:
    head_stride = decisions["head.stride"]
    assert isinstance(head_stride, int)
    inputs = ["stage4"]
    nodes = [Node("context", str(decisions["context"]), ("stage4",))]
    source = "context"
    for scale, stage in SCALES.items():
        choice = "head.fuse" if scale == head_stride else f"fuse{scale}"
        if scale < head_stride or decisions[choice] == "skip":
            continue
        inputs.append(stage)
        nodes.append(Node(f"lateral{scale}", "conv_1x1", (stage,)))
        nodes.append(Node(f"fuse{scale}", str(decisions[choice]), (source, f"lateral{scale}")))
        source = f"fuse{scale}"
        if decisions[choice] == "concat":
            nodes.append(Node(f"merge{scale}", "conv_1x1", (source,)))
            source = f"merge{scale}"
        refine = str(decisions["head.refine" if scale == head_stride else f"fuse{scale}.refine"])
        if refine != "skip_connect":
            nodes.append(Node(f"refine{scale}", refine, (source,)))
            source = f"refine{scale}"
    return Cell.of(inputs, nodes, source, where="decoder")


SPACES.register("realtime", RealtimeSpace())
