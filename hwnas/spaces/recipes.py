"""Recipes in a search space: how a network is trained is decided beside what it is, or instead of it.

A field of a recipe is a choice like any other, called ``recipe.FIELD``. Which fields there are and what they may be is
known to training; see :mod:`hwnas.training.recipe_choices`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import is_active

PREFIX = "recipe."


class FixedSpace:
    """One network, and nothing to decide about it."""

    choices: Sequence[Choice] = ()

    def __init__(self, genotype: Genotype) -> None:
        self.name = genotype.name
        self._genotype = genotype

    def decode(self, decisions: Decisions) -> Candidate:
        return Candidate(self._genotype)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        return {}


class RecipeSpace:
    """The networks of a space, each trained by any of the recipes that ``fields`` make.

    ``fields`` are choices called ``recipe.FIELD``, those that conditions name before the others.
    """

    def __init__(self, networks: SearchSpace, fields: Sequence[Choice]) -> None:
        assert all(field.name.startswith(PREFIX) for field in fields)
        self.name = f"{networks.name}+recipe"
        self.networks = networks
        self.choices: Sequence[Choice] = (*networks.choices, *fields)
        self._fields = tuple(fields)

    def decode(self, decisions: Decisions) -> Candidate:
        own = {name: value for name, value in decisions.items() if name.startswith(PREFIX)}
        network = self.networks.decode({name: value for name, value in decisions.items() if name not in own})
        chosen = {
            field.name.removeprefix(PREFIX): own[field.name] for field in self._fields if is_active(field, decisions)
        }
        return Candidate(network.genotype, {**network.recipe, **chosen})

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A network as its own space samples it, and every active field uniformly."""
        drawn = self.networks.sample(rng)
        for field in self._fields:
            if is_active(field, drawn):
                drawn[field.name] = field.options[int(rng.integers(len(field.options)))]
        return drawn
