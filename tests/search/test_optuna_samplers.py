"""Optuna's samplers: what they are shown, several metrics, and their generations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_space import evaluate, toy_problem

from hwnas.errors import HwnasError
from hwnas.search.objective import Objective
from hwnas.search.optuna_samplers import OptunaStrategy, gp, nsga2, nsga3, tpe
from hwnas.search.pareto import front, hypervolume
from hwnas.search.problem import Problem
from hwnas.search.strategy import Outcome, Strategy


def two_metrics() -> Problem:
    return replace(toy_problem(13.0), objective=Objective(also=("latency_ms",)))


def outcomes_of(strategy: Strategy, count: int) -> list[Outcome]:
    outcomes = []
    for _ in range(count):
        (request,) = strategy.ask(1)
        outcomes.append(evaluate(request))
        strategy.tell(outcomes[-1:])
    return outcomes


def volume(outcomes: list[Outcome], problem: Problem) -> float:
    kept = front(outcomes, problem.objective)
    return hypervolume(np.array([problem.objective.vector(each) for each in kept]), (0.0, -13.0))


def test_later_generations_have_better_fronts() -> None:
    problem = two_metrics()
    searches = [outcomes_of(nsga2(problem, seed=seed, population=12), 84) for seed in range(2)]
    first, last = (
        np.mean([volume(each[part], problem) for each in searches]) for part in (slice(24), slice(-24, None))
    )
    assert last > first + 0.2


@pytest.mark.parametrize("make", [nsga3, tpe])
def test_several_metrics_are_served(make) -> None:
    problem = two_metrics()
    assert len(front(outcomes_of(make(problem, seed=0), 30), problem.objective)) > 3


def test_failures_are_never_shown_to_the_sampler() -> None:
    strategy = nsga2(toy_problem(), seed=0, population=4)
    first, second, third = strategy.ask(3)
    strategy.tell([Outcome(first, status="failed"), evaluate(second), Outcome(third, {"miou": 1.0}, "infeasible")])
    assert [told["decisions"] for told in strategy.state()["told"]] == [dict(second.decisions)]


def test_children_take_after_the_best_of_their_parents() -> None:
    scores = [each.values["miou"] for each in outcomes_of(nsga2(toy_problem(), seed=1, population=8), 80)]
    assert np.mean(scores[-24:]) > np.mean(scores[:16]) + 0.08


def test_a_state_is_restored_in_the_middle_of_a_generation() -> None:
    """In the fourth: parents of three generations have to be found again."""
    strategies: list[OptunaStrategy] = [nsga3(toy_problem(), seed=5, population=4) for _ in range(2)]
    outcomes_of(strategies[0], 14)
    strategies[1].restore(strategies[0].state())
    futures = [[dict(each.request.decisions) for each in outcomes_of(twin, 12)] for twin in strategies]
    assert futures[0] == futures[1]


def test_tpe_of_one_choice_at_a_time_serves_too() -> None:
    found = outcomes_of(tpe(toy_problem(), seed=0, startup=3, multivariate=False), 8)
    assert len({tuple(each.request.decisions.items()) for each in found}) == 8


@pytest.mark.parametrize(("make", "options"), [(nsga2, {"population": 1}), (tpe, {"startup": 0}), (gp, {"startup": 0})])
def test_impossible_options_are_refused(make, options: dict[str, int]) -> None:
    with pytest.raises(HwnasError, match="it needs at least"):
        make(toy_problem(), seed=0, **options)
