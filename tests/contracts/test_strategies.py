"""The contract suite on every registered strategy, and how they compare on a toy objective."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import pytest
from strategy_contract import CHECKS, Make, best_after
from toy_space import toy_problem

from hwnas.search.strategy import STRATEGIES


@pytest.mark.parametrize("name", STRATEGIES.names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_strategy_keeps_the_contract(name: str, check: Callable[[Make], None]) -> None:
    check(STRATEGIES.get(name))


def test_evolution_keeps_the_contract_with_crossover() -> None:
    for check in CHECKS:
        check(lambda problem, seed: STRATEGIES.get("evolution")(problem, seed=seed, population=6, crossover=0.5))


def test_evolution_beats_random_in_the_median() -> None:
    scores = {
        name: median(best_after(STRATEGIES.get(name)(toy_problem(), seed=seed), 120) for seed in range(7))
        for name in ("random", "evolution")
    }
    assert scores["evolution"] > scores["random"] + 0.03
