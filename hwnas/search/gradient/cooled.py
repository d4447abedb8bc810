"""A bilevel step whose sampling cools down with the budget."""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.search.gradient.bilevel import Bilevel
from hwnas.search.gradient.setup import cool
from hwnas.search.gradient.step import Batch
from hwnas.spaces.relaxed import Probabilities
from hwnas.training.checkpoint import Part


class Cooled:
    """``bilevel``, its mixing told how much of the budget is spent."""

    def __init__(self, bilevel: Bilevel) -> None:
        self.bilevel = bilevel

    finished = False

    def begin(self, fraction: float) -> None:
        cool(self.bilevel.mixing, fraction)
        cool(self.bilevel.weights_mixing, fraction)
        self.bilevel.begin(fraction)

    def step(self, train: Batch, val: Batch) -> Mapping[str, float]:
        return self.bilevel.step(train, val)

    def relaxation(self) -> Probabilities:
        return self.bilevel.relaxation()

    def parts(self) -> dict[str, Part]:
        return self.bilevel.parts()
