"""``fasterseg``: multi-resolution branches with searchable widths (FasterSeg, arXiv 1912.10917).

Size: 2.7e65 decisions, counted over places; those that no branch passes do not matter, so genotypes are fewer. Macro
parameters: 16 layers behind a stem at stride 8, 12 filters, the head at its full width; two branches, one of which ends
at stride 32, as in the authors' search. Choices:

- ``other``: where the other branch ends, at stride 16 or 8.
- ``down32.first``, ``down32.secondF``: the layers that stride in the branch to stride 32, the second one behind layer
  F; ``down16``: the one of the branch to stride 16.
- ``sS.layerI.op``: the op of layer I on a map of stride S (8, 16, 32), and ``sS.layerI.width``, the width of its input
  as a ratio; both branches have it where they pass there, as in the authors' supernet, and share what they have in
  common. Ops: skip, convolution, two of them, and both zoomed. Widths: 4, 6, 8, 10 and 12 twelfths. The first layer's
  input is the stem.

A skip that does not stride is an identity, or a 1x1 convolution where its widths differ, as in the authors' supernet;
the networks that they derive leave it out with its width.

Relaxation: the same choices, soft; branches share what they have in common, and widths are leading channels
(:mod:`hwnas.skeletons.fasterseg_open`). The authors' γ, β and α are the choices of width, of stride and of op.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.fasterseg import OPS, Branch, chain_cell
from hwnas.skeletons.fasterseg_open import open_fasterseg
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions
from hwnas.spaces.relaxed import Probabilities, most_probable, own_options

if TYPE_CHECKING:
    from torch import Tensor


LAYERS = 16
STRIDES = (8, 16, 32)
WIDTHS = tuple(twelfths / 12 for twelfths in (4, 6, 8, 10, 12))


class FasterSegSpace:
    """The space; see the module's docstring."""

    def __init__(self, *, layers: int = LAYERS, filters: int = 12) -> None:
        self.name = "fasterseg"
        self.layers, self._filters = layers, filters
        choices = [
            Choice("other", (16, 8)),
            Choice("down16", tuple(range(layers - 1)), {"other": (16,)}),
            Choice("down32.first", tuple(range(layers - 2))),
        ]
        for first in range(layers - 2):
            choices.append(
                Choice(f"down32.second{first}", tuple(range(first + 1, layers - 1)), {"down32.first": (first,)})
            )
        for scale, stride in enumerate(STRIDES):
            for layer in range(scale, layers):
                choices.append(Choice(f"s{stride}.layer{layer}.op", OPS))
                if layer:
                    choices.append(Choice(f"s{stride}.layer{layer}.width", WIDTHS))
        self.choices: Sequence[Choice] = tuple(choices)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over decisions."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        """The genotype of ``decisions``; choices that are not active, or that no branch passes, are ignored."""
        branches = self.branches(decisions)
        params: dict[str, Value] = {
            "filters": self._filters,
            "paths": tuple(branch.path for branch in branches),
            "widths": tuple(branch.widths for branch in branches),
        }
        cells = {f"branch{number}": chain_cell(branch.ops) for number, branch in enumerate(branches, start=1)}
        return Candidate(Genotype(self.name, "fasterseg", cells, params))

    def branches(self, decisions: Decisions) -> list[Branch]:
        """The branch to stride 32 and the other."""
        first = _whole(decisions["down32.first"])
        downs: list[tuple[int, ...]] = [(first, _whole(decisions[f"down32.second{first}"]))]
        downs.append((_whole(decisions["down16"]),) if decisions["other"] == 16 else ())
        return [self._branch(decisions, places) for places in downs]

    @property
    def relaxation(self) -> Sequence[Choice]:
        return self.choices

    def supergraph(self, input_shape: Shape, classes: int, *, auxiliary: bool = False) -> OpGraph:
        """All ways, ops and widths of both branches; ``auxiliary``: with heads of theirs for training alone."""
        return open_fasterseg(self.layers, self._filters, WIDTHS, input_shape, classes, auxiliary=auxiliary)

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        return own_options(self.choices, decisions)

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The likeliest option of every choice."""
        return most_probable(self, probabilities)

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(probabilities)

    def _branch(self, decisions: Decisions, downs: tuple[int, ...]) -> Branch:
        """The branch that strides in the layers ``downs``."""
        path = [sum(down < layer for down in downs) for layer in range(self.layers)]
        ops = [str(decisions[f"s{STRIDES[scale]}.layer{layer}.op"]) for layer, scale in enumerate(path)]
        widths = [
            _width(decisions[f"s{STRIDES[scale]}.layer{layer}.width"]) for layer, scale in enumerate(path) if layer
        ]
        return Branch(tuple(ops), tuple(path), tuple(widths))


def _whole(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _width(value: Value) -> float:
    assert isinstance(value, float)
    return value


SPACES.register("fasterseg", FasterSegSpace())
