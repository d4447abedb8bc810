"""Every strategy searches recipes, of one network or together with a space's networks, as it searches networks."""

from __future__ import annotations

import pytest
from test_strategies import OPTIONS
from tiny_nets import TinySpace

from hwnas.search.make import make_strategy
from hwnas.search.objective import Objective
from hwnas.search.pooled import takes_pool
from hwnas.search.problem import Problem, by_candidate
from hwnas.search.strategy import STRATEGIES, Outcome, Request
from hwnas.spaces.base import SearchSpace
from hwnas.spaces.decisions import check, size
from hwnas.spaces.recipes import FixedSpace, RecipeSpace
from hwnas.training.recipe import Recipe
from hwnas.training.recipe_choices import recipe_choices

ONE = FixedSpace(TinySpace().decode({"first": "conv_1x1", "depth": 1}).genotype)
VARIED = ("optimizer", "momentum=0.8,0.9", "scale=[0.5,1.25],[0.75,1.25]")


def recipes(networks: SearchSpace) -> RecipeSpace:
    return RecipeSpace(networks, recipe_choices(VARIED, Recipe()))


def outcome_of(request: Request, space: RecipeSpace) -> Outcome:
    """Best is SGD with much momentum."""
    recipe = Recipe().with_values(space.decode(request.decisions).recipe)
    return Outcome(request, {"miou": 0.1 + 0.5 * (recipe.optimizer == "sgd") * recipe.momentum})


def asked_of(name: str, space: RecipeSpace, most: int) -> list[Request]:
    """What a strategy asks for, one at a time, until it has no more."""
    problem = Problem(space, Objective(), identify=by_candidate(space))
    options = {} if name == "crnas" else dict(OPTIONS.get(name, {}))
    strategy = make_strategy(name, problem, seed=1, **options)
    asked: list[Request] = []
    while len(asked) < most and (requests := strategy.ask(1)):
        asked += requests
        strategy.tell([outcome_of(each, space) for each in requests])
    for each in asked:
        check(space, each.decisions)
    assert len({(problem.key(each.decisions), each.fidelity) for each in asked}) == len(asked)
    return asked


SERVING = [name for name in STRATEGIES.names() if name != "crnas" and not takes_pool(name)]


@pytest.mark.parametrize("name", SERVING)
def test_recipes_of_one_network_are_searched_to_the_end(name: str) -> None:
    if name == "gp":
        pytest.importorskip("scipy")
    space = recipes(ONE)
    asked = asked_of(name, space, 100)
    assert size(space) == 6
    assert {tuple(each.decisions.items()) for each in asked} == {
        tuple(each.items())
        for each in (
            {"recipe.optimizer": "adamw", "recipe.scale": (0.5, 1.25)},
            {"recipe.optimizer": "adamw", "recipe.scale": (0.75, 1.25)},
            *(
                {"recipe.optimizer": "sgd", "recipe.momentum": momentum, "recipe.scale": (low, 1.25)}
                for momentum in (0.8, 0.9)
                for low in (0.5, 0.75)
            ),
        )
    }


@pytest.mark.parametrize("name", SERVING)
def test_recipes_and_networks_are_searched_together(name: str) -> None:
    if name == "gp":
        pytest.importorskip("scipy")
    asked = asked_of(name, recipes(TinySpace()), 12)
    assert len({each.decisions["first"] for each in asked}) > 1
    assert len({each.decisions["recipe.optimizer"] for each in asked}) > 1
