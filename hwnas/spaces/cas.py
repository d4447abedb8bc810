"""``cas``: a normal, a reduction and a multi-scale cell and the network around them (CAS, arXiv 1908.09550, CVPR 2019).

Size: 1.3e31 decisions. From the paper: three types of cells, each a directed acyclic graph with an operation on every
edge, cells of a type sharing their architecture; the multi-scale cell in the place of a hand-designed context module;
costs of operations that let a user's constraint shape the network. Nothing that was found was published, and the rest
is our choice: 4 blocks of two edges in the normal and the reduction cell with DARTS's ops, 3 blocks in the multi-scale
cell, the stem at stride 8, reductions at a third and at two thirds of the layers. Choices:

- ``normal.blockB.left.op``, ``.state`` and so on (see :mod:`hwnas.spaces.searched_cells`), and the same of ``reduce``;
- ``multi_scale.blockB.left``: a branch of block B as text (see :mod:`hwnas.skeletons.multi_scale`): a 1x1 or an atrous
  separable convolution, pooling, or a skip, on the features (``f``) or an earlier block;
- ``network.layers``, ``network.channels`` and ``network.head_width``: the customisation of the whole network.

Rates up to 8 need features of at least 9x9 pixels at stride 32: images of 257x257.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.skeletons.cell_sequence import MULTI_SCALE
from hwnas.skeletons.multi_scale import multi_scale_cell
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions
from hwnas.spaces.searched_cells import SIDES, cell_choices, decided_cell

OPS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
BLOCKS = 4
CONTEXT_OPS = ("skip", "1x1", "r1x1", "r2x2", "r4x4", "r8x8", "p1x1", "p2x2", "p4x4")
CONTEXT_BLOCKS = 3
LAYERS = (6, 8, 10, 12, 14)
CHANNELS = (12, 16, 24, 32, 48)
HEAD_WIDTHS = (32, 64, 128, 256)


class CASSpace:
    """The space; see the module's docstring."""

    def __init__(
        self,
        *,
        layers: tuple[int, ...] = LAYERS,
        channels: tuple[int, ...] = CHANNELS,
        head_widths: tuple[int, ...] = HEAD_WIDTHS,
    ) -> None:
        self.name = "cas"
        choices = [*cell_choices("normal", BLOCKS, OPS), *cell_choices("reduce", BLOCKS, OPS)]
        for number in range(CONTEXT_BLOCKS):
            inputs = ("f", *map(str, range(number)))
            branches = tuple(f"{op}@{source}" for op in CONTEXT_OPS for source in inputs)
            choices += [Choice(f"{MULTI_SCALE}.block{number}.{side}", branches) for side in SIDES]
        choices += [
            Choice("network.layers", layers),
            Choice("network.channels", channels),
            Choice("network.head_width", head_widths),
        ]
        self.choices: Sequence[Choice] = tuple(choices)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over decisions."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        blocks = [
            (
                str(decisions[f"{MULTI_SCALE}.block{number}.left"]),
                str(decisions[f"{MULTI_SCALE}.block{number}.right"]),
            )
            for number in range(CONTEXT_BLOCKS)
        ]
        cells = {role: decided_cell(role, BLOCKS, decisions) for role in ("normal", "reduce")}
        cells[MULTI_SCALE] = multi_scale_cell(blocks)
        layers = decisions["network.layers"]
        assert isinstance(layers, int)
        reductions = (layers // 3, 2 * layers // 3)
        params: dict[str, Value] = {
            "sequence": tuple("reduce" if layer in reductions else "normal" for layer in range(layers)),
            "reductions": reductions,
            "channels": decisions["network.channels"],
            "head_width": decisions["network.head_width"],
        }
        return Candidate(Genotype(self.name, "cell-sequence", cells, params))


SPACES.register("cas", CASSpace())
