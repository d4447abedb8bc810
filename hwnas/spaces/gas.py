"""``gas``: a different cell at every layer (GAS, arXiv 1909.06793, CVPR 2020).

Size: 2.7e65 decisions. From the paper: no cell is shared, every layer's is searched on its own; while searching, a
graph convolution carries what one cell has learned to the next, so that neighbouring cells are related
(:data:`GASSpace.links`); latency is part of the objective. Nothing that was found was published, and the rest is our
choice: 8 layers behind a stem at stride 8 with 24 channels, of which layers 2 and 5 reduce; 3 blocks of two edges a
cell with the ops below; an ASPP head of separable convolutions. Choices: ``cellK.blockB.left.op``, ``.state`` and so
on (see :mod:`hwnas.spaces.searched_cells`) for layer K.

Relaxation: the same choices, soft. An edge's weight is that of its state times that of its op.

Rates up to 8 need features of at least 9x9 pixels at stride 32: images of 257x257. ``gas-small`` has 6 layers, 16
channels and a light head, for smaller ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions
from hwnas.spaces.relaxed import Probabilities, most_probable, own_options
from hwnas.spaces.searched_cells import cell_choices, decided_cell, open_cell

if TYPE_CHECKING:
    from torch import Tensor

OPS = (
    "max_pool_3x3",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
BLOCKS = 3
LAYERS = 8
REDUCTIONS = (2, 5)
HEAD = "aspp:width=128,rates=2-4-8"


class GASSpace:
    """The space; see the module's docstring."""

    def __init__(
        self,
        *,
        layers: int = LAYERS,
        reductions: tuple[int, ...] = REDUCTIONS,
        channels: int = 24,
        head: str = HEAD,
        name: str = "gas",
    ) -> None:
        self.name = name
        self._layers, self._reductions, self._channels, self._head = layers, reductions, channels, head
        self.choices: Sequence[Choice] = tuple(
            choice for layer in range(layers) for choice in cell_choices(f"cell{layer}", BLOCKS, OPS)
        )

    @property
    def cells(self) -> list[list[Choice]]:
        """The choices of each layer's cell, in the same order."""
        by_name = {choice.name: choice for choice in self.choices}
        return [[by_name[choice.name] for choice in cell_choices(role, BLOCKS, OPS)] for role in self._roles]

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """Pairs of choices that guided search relates: each of a layer and the same one of the layer behind it."""
        return tuple(
            (choice.name, behind.name)
            for layer in range(self._layers - 1)
            for choice, behind in zip(
                cell_choices(f"cell{layer}", BLOCKS, OPS), cell_choices(f"cell{layer + 1}", BLOCKS, OPS), strict=True
            )
        )

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over decisions."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        return Candidate(self._genotype({role: decided_cell(role, BLOCKS, decisions) for role in self._roles}))

    @property
    def relaxation(self) -> Sequence[Choice]:
        return self.choices

    def supergraph(self, input_shape: Shape, classes: int) -> OpGraph:
        """Every layer's cell with all its edges."""
        return expand(
            self._genotype({role: open_cell(role, BLOCKS, OPS) for role in self._roles}), input_shape, classes
        )

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        return own_options(self.choices, decisions)

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The likeliest option of every choice."""
        return most_probable(self, probabilities)

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(probabilities)

    @property
    def _roles(self) -> tuple[str, ...]:
        return tuple(f"cell{layer}" for layer in range(self._layers))

    def _genotype(self, cells: Mapping[str, Cell]) -> Genotype:
        params: dict[str, Value] = {
            "sequence": self._roles,
            "reductions": self._reductions,
            "channels": self._channels,
            "head": self._head,
        }
        return Genotype(self.name, "cell-sequence", cells, params)


SPACES.register("gas", GASSpace())
SPACES.register(
    "gas-small", GASSpace(name="gas-small", layers=6, reductions=(2, 4), channels=16, head="lraspp:width=64")
)
