"""A space of two networks, and three fields of a recipe, one of which matters only under some value of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Choice, Decisions

FIELDS = (
    Choice("recipe.optimizer", ("adamw", "sgd")),
    Choice("recipe.lr", (0.01, 0.1)),
    Choice("recipe.momentum", (0.8, 0.9), {"recipe.optimizer": ("sgd",)}),
)


class Widths:
    """Two widths, each trained in a way of the space's own."""

    name = "widths"
    choices: Sequence[Choice] = (Choice("width", (8, 16)),)

    def decode(self, decisions: Decisions) -> Candidate:
        params: dict[str, Value] = {"width": decisions["width"]}
        return Candidate(Genotype("widths", "plain", {"cell": Cell.of(["x"], [], "x")}, params), {"base": 1})

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        return {"width": (8, 16)[int(rng.integers(2))]}
