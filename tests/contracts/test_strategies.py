"""The contract suite on every registered strategy, and how they compare on a toy objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import pytest
from strategy_contract import CHECKS, Make, best_after
from toy_space import toy_problem

from hwnas.search.strategy import STRATEGIES


OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "crnas": {"outer": "x0", "beam": 1},  # its own outer choice is none of the toy space's
    "dpc": {"candidates": 6, "finalists": 2},
    "econas": {"population": 6, "batch": 4},
}
"""What makes a strategy serve the toy space, in few evaluations."""


@pytest.mark.parametrize("name", STRATEGIES.names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_strategy_keeps_the_contract(name: str, check: Callable[[Make], None]) -> None:
    check(partial(STRATEGIES.get(name), **OPTIONS.get(name, {})))


def test_evolution_keeps_the_contract_with_crossover() -> None:
    for check in CHECKS:
        check(lambda problem, seed: STRATEGIES.get("evolution")(problem, seed=seed, population=6, crossover=0.5))


def test_evolution_beats_random_in_the_median() -> None:
    scores = {
        name: median(best_after(STRATEGIES.get(name)(toy_problem(), seed=seed), 120) for seed in range(7))
        for name in ("random", "evolution")
    }
    assert scores["evolution"] > scores["random"] + 0.03
