"""Recipes beside the networks of a space, or of one network: choices like any other."""

from __future__ import annotations

import numpy as np
from small_choices import FIELDS, Widths

from hwnas.spaces.decisions import canonical, check, crossover, mutate, size
from hwnas.spaces.recipes import FixedSpace, RecipeSpace


def test_a_candidate_has_the_network_of_its_own_space_and_the_recipe_that_was_chosen() -> None:
    space = RecipeSpace(Widths(), FIELDS)
    assert space.name == "widths+recipe"
    decisions = {"width": 16, "recipe.optimizer": "sgd", "recipe.lr": 0.1, "recipe.momentum": 0.8}
    candidate = space.decode(decisions)
    assert candidate.genotype == Widths().decode({"width": 16}).genotype
    assert dict(candidate.recipe) == {"base": 1, "optimizer": "sgd", "lr": 0.1, "momentum": 0.8}


def test_what_is_not_active_is_no_part_of_the_recipe() -> None:
    space = RecipeSpace(Widths(), FIELDS)
    adamw = {"width": 8, "recipe.optimizer": "adamw", "recipe.lr": 0.1, "recipe.momentum": 0.8}
    assert canonical(space, adamw) == {"width": 8, "recipe.optimizer": "adamw", "recipe.lr": 0.1}
    assert "momentum" not in space.decode(adamw).recipe
    assert size(space) == 2 * 2 * (1 + 2)


def test_one_network_with_its_recipes() -> None:
    genotype = Widths().decode({"width": 8}).genotype
    space = RecipeSpace(FixedSpace(genotype), FIELDS)
    assert size(FixedSpace(genotype)) == 1 and size(space) == 6
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        drawn = space.sample(rng)
        check(space, drawn)
        assert canonical(space, drawn) == drawn
        assert space.decode(drawn).genotype == genotype
        seen.add(tuple(drawn.items()))
    assert len(seen) == 6


def test_neighbours_are_decisions_of_the_space() -> None:
    space, rng = RecipeSpace(Widths(), FIELDS), np.random.default_rng(1)
    for _ in range(30):
        a, b = space.sample(rng), space.sample(rng)
        for each in (mutate(space, a, rng), crossover(space, a, b, rng)):
            check(space, each)
            space.decode(each)
