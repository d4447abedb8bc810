"""The contract suite on every registered strategy, and how they compare on a toy objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import pytest
from strategy_contract import CHECKS, Make, best_after
from toy_space import toy_problem

from hwnas.search.make import refusal
from hwnas.search.strategy import STRATEGIES

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "crnas": {"beam": 1, "completions": 1},
    "dpc": {"candidates": 6, "finalists": 2},
    "econas": {"population": 6, "batch": 4},
    "gp": {"startup": 2},
    "nsga2": {"population": 6},
    "nsga3": {"population": 6},
    "rl": {"batch": 3, "epochs": 2, "hidden": 8},
    "tpe": {"startup": 4},
}
"""What makes a strategy serve the toy space, or learn from its first few evaluations."""

ROUNDS: Mapping[str, float] = {"gp": 0.1, "nsga2": 0.4, "nsga3": 0.3, "rl": 0.4, "tpe": 0.3}
"""Share of the rounds that strategies are played for that take long to think."""

GP_CHECKS = ("check_told_history_has_the_same_future", "check_finds_feasible_ones_where_they_are_rare")


def maker(name: str) -> Make:
    """The strategy called ``name`` as the contract plays it; skipped if it does not serve the toy space."""
    factory = STRATEGIES.get(name)
    if (reason := refusal(factory, toy_problem())) is not None:
        pytest.skip(f"{name} does not serve it: {reason}")
    make = partial(factory, **OPTIONS.get(name, {}))
    make.rounds = ROUNDS.get(name, 1.0)  # type: ignore[attr-defined]
    return make


@pytest.fixture(autouse=True)
def allocation(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``crnas`` decides first is a choice of the toy space."""
    monkeypatch.setattr("hwnas.search.crnas.ALLOCATION", "x0")


@pytest.mark.parametrize("name", STRATEGIES.names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_strategy_keeps_the_contract(name: str, check: Callable[[Make], None]) -> None:
    if name == "gp":
        pytest.importorskip("scipy")
        if check.__name__ not in GP_CHECKS:
            pytest.skip("seconds a request; Optuna's samplers keep it in one way")
    check(maker(name))


@pytest.mark.parametrize("options", [{"around": "evolution", "around_population": 6, "eta": 2}, {"brackets": 2}])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_halving_keeps_the_contract_around_others(options: dict[str, Any], check: Callable[[Make], None]) -> None:
    check(partial(STRATEGIES.get("halving"), **options))


def test_evolution_keeps_the_contract_with_crossover() -> None:
    for check in CHECKS:
        check(lambda problem, seed: STRATEGIES.get("evolution")(problem, seed=seed, population=6, crossover=0.5))


def test_evolution_beats_random_in_the_median() -> None:
    scores = {
        name: median(best_after(STRATEGIES.get(name)(toy_problem(), seed=seed), 250) for seed in range(7))
        for name in ("random", "evolution")
    }
    assert scores["evolution"] > scores["random"] + 0.03


def test_the_controller_beats_random_in_the_median() -> None:
    """It has to learn within 100 evaluations: the space has 82,000 genotypes."""
    scores = {
        name: median(best_after(STRATEGIES.get(name)(toy_problem(), seed=seed), 100) for seed in range(3))
        for name in ("random", "rl")
    }
    assert scores["rl"] > scores["random"] + 0.02
