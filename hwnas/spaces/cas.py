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

Relaxation: the same choices, soft, an edge's weight that of its state times that of its op; the customisation is fixed,
as the paper searches cells: the supergraph is that of a space with one number of layers, of channels and one width.

Rates up to 8 need features of at least 9x9 pixels at stride 32: images of 257x257. ``cas-small`` has no rates, 6
layers, 16 channels and a head of 64, for smaller ones and for the relaxation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import HwnasError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import expand
from hwnas.skeletons.cell_sequence import MULTI_SCALE
from hwnas.skeletons.multi_scale import multi_scale_cell, open_multi_scale_cell
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions
from hwnas.spaces.relaxed import Probabilities, most_probable, own_options
from hwnas.spaces.searched_cells import SIDES, cell_choices, decided_cell, open_cell

if TYPE_CHECKING:
    from torch import Tensor

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
        context_ops: tuple[str, ...] = CONTEXT_OPS,
        name: str = "cas",
    ) -> None:
        self.name = name
        choices = [*cell_choices("normal", BLOCKS, OPS), *cell_choices("reduce", BLOCKS, OPS)]
        for number in range(CONTEXT_BLOCKS):
            inputs = ("f", *map(str, range(number)))
            branches = tuple(f"{op}@{source}" for op in context_ops for source in inputs)
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
        return Candidate(self._genotype(cells, decisions))

    @property
    def relaxation(self) -> Sequence[Choice]:
        return self.choices

    def supergraph(self, input_shape: Shape, classes: int) -> OpGraph:
        """All edges of the three cells; HwnasError unless the customisation of the network is decided."""
        fixed = {choice.name: choice.options for choice in self.choices if choice.name.startswith("network.")}
        for name, options in fixed.items():
            if len(options) > 1:
                raise HwnasError(f"the relaxation of {self.name} needs one {name}, not {len(options)}")
        cells = {role: open_cell(role, BLOCKS, OPS) for role in ("normal", "reduce")}
        branches = {choice.name: [str(option) for option in choice.options] for choice in self.choices}
        names = [[f"{MULTI_SCALE}.block{number}.{side}" for side in SIDES] for number in range(CONTEXT_BLOCKS)]
        cells[MULTI_SCALE] = open_multi_scale_cell([[(name, branches[name]) for name in pair] for pair in names])
        network = {name: options[0] for name, options in fixed.items()}
        return expand(self._genotype(cells, network), input_shape, classes)

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        return own_options(self.choices, decisions)

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The likeliest option of every choice."""
        return most_probable(self, probabilities)

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(probabilities)

    def _genotype(self, cells: Mapping[str, Cell], network: Decisions) -> Genotype:
        layers = network["network.layers"]
        assert isinstance(layers, int)
        reductions = (layers // 3, 2 * layers // 3)
        params: dict[str, Value] = {
            "sequence": tuple("reduce" if layer in reductions else "normal" for layer in range(layers)),
            "reductions": reductions,
            "channels": network["network.channels"],
            "head_width": network["network.head_width"],
        }
        return Genotype(self.name, "cell-sequence", cells, params)


SMALL_CONTEXT_OPS = ("skip", "1x1", "r1x1", "p1x1", "p2x2")

SPACES.register("cas", CASSpace())
SPACES.register(
    "cas-small",
    CASSpace(name="cas-small", layers=(6,), channels=(16,), head_widths=(64,), context_ops=SMALL_CONTEXT_OPS),
)
