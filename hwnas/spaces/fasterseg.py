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

As in the authors' code, a skip that does not stride is left out, with its width. What they leave to their soft choices
is ours here: where nothing would be left behind the last striding layer of a branch, its last layer is a convolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.skeletons.fasterseg import OPS, chain_cell
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

LAYERS = 16
STRIDES = (8, 16, 32)
WIDTHS = tuple(twelfths / 12 for twelfths in (4, 6, 8, 10, 12))
LAST_OP = "conv_3x3"


class FasterSegSpace:
    """The space; see the module's docstring."""

    def __init__(self, *, layers: int = LAYERS, filters: int = 12) -> None:
        self.name = "fasterseg"
        self._layers, self._filters = layers, filters
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
        first = _whole(decisions["down32.first"])
        downs: list[tuple[int, ...]] = [(first, _whole(decisions[f"down32.second{first}"]))]
        downs.append((_whole(decisions["down16"]),) if decisions["other"] == 16 else ())
        branches = [self._branch(decisions, places) for places in downs]
        params: dict[str, Value] = {
            "filters": self._filters,
            "paths": tuple(path for _, path, _ in branches),
            "widths": tuple(widths for _, _, widths in branches),
        }
        cells = {f"branch{number}": chain_cell(ops) for number, (ops, _, _) in enumerate(branches, start=1)}
        return Candidate(Genotype(self.name, "fasterseg", cells, params))

    def _branch(
        self, decisions: Decisions, downs: tuple[int, ...]
    ) -> tuple[tuple[str, ...], tuple[int, ...], tuple[float, ...]]:
        """Ops, path and widths of the branch that strides in the layers ``downs``."""
        path = [sum(down < layer for down in downs) for layer in range(self._layers)]
        ops = [str(decisions[f"s{STRIDES[scale]}.layer{layer}.op"]) for layer, scale in enumerate(path)]
        behind = downs[-1] + 1 if downs else 0
        if all(op == "skip_connect" for op in ops[behind:]):
            ops[-1] = LAST_OP
        kept = [layer for layer, op in enumerate(ops) if op != "skip_connect" or layer in downs]
        widths = [_width(decisions[f"s{STRIDES[path[layer + 1]]}.layer{layer + 1}.width"]) for layer in kept[:-1]]
        return tuple(ops[layer] for layer in kept), tuple(path[layer] for layer in kept), tuple(widths)


def _whole(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _width(value: Value) -> float:
    assert isinstance(value, float)
    return value


SPACES.register("fasterseg", FasterSegSpace())
