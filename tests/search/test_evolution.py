"""Aging evolution: who lives, who dies, who has children."""

from __future__ import annotations

import numpy as np
import pytest
from toy_space import evaluate, toy_problem

from hwnas.errors import HwnasError
from hwnas.search.evolution import Evolution
from hwnas.search.strategy import Outcome


def grown(evaluations: int, **options: int) -> tuple[Evolution, list[Outcome]]:
    strategy = Evolution(toy_problem(), seed=0, **options)
    outcomes = []
    for _ in range(evaluations):
        outcomes += [evaluate(request) for request in strategy.ask(1)]
        strategy.tell(outcomes[-1:])
    return strategy, outcomes


def test_the_oldest_dies_not_the_worst() -> None:
    strategy, outcomes = grown(30, population=8, tournament=3)
    living = [member["decisions"] for member in strategy.state()["living"]]
    assert living == [dict(outcome.request.decisions) for outcome in outcomes[-8:]]


def test_children_differ_from_a_living_parent_in_one_choice() -> None:
    strategy, outcomes = grown(8, population=8, tournament=3)
    living = [dict(outcome.request.decisions) for outcome in outcomes]
    (child,) = strategy.ask(1)
    differences = [
        sum(child.decisions.get(name) != parent.get(name) for name in {*child.decisions, *parent} - {"extra"})
        for parent in living
    ]
    assert min(differences) <= 1


def test_a_large_tournament_always_breeds_the_best() -> None:
    strategy, outcomes = grown(8, population=8, tournament=400)
    best = max(outcomes, key=lambda outcome: outcome.values["miou"]).request.decisions
    for request in strategy.ask(5):
        assert sum(request.decisions.get(name) != best.get(name) for name in best if name != "extra") <= 1


def test_failed_and_infeasible_never_enter_the_population() -> None:
    strategy = Evolution(toy_problem(), seed=0, population=4)
    requests = strategy.ask(4)
    statuses = ("ok", "failed", "infeasible", "ok")
    strategy.tell([Outcome(r, {"miou": 1.0}, s) for r, s in zip(requests, statuses, strict=True)])  # type: ignore
    living = [member["decisions"] for member in strategy.state()["living"]]
    assert living == [dict(requests[0].decisions), dict(requests[3].decisions)]


def test_waits_while_there_is_nobody_to_choose_parents_from() -> None:
    strategy = Evolution(toy_problem(), seed=0, population=4)
    requests = strategy.ask(10)
    assert len(requests) == 4
    assert strategy.ask(1) == []
    strategy.tell([evaluate(request) for request in requests[:2]])
    assert len(strategy.ask(2)) == 2


def test_neighbourhood_that_is_used_up_is_left() -> None:
    """One parent for ever: its 24 neighbours are soon known, and it goes on further away."""
    strategy = Evolution(toy_problem(13.0), seed=0, population=2, tournament=2)
    strategy.tell([evaluate(request) for request in strategy.ask(2)])
    decisions = [tuple(request.decisions.items()) for request in strategy.ask(60)]
    assert len(set(decisions)) == 60


@pytest.mark.parametrize("options", [{"population": 1}, {"tournament": 0}, {"crossover": 1.5}])
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(HwnasError, match="evolution cannot run"):
        Evolution(toy_problem(), seed=0, **options)  # type: ignore[arg-type]


def test_crossover_mixes_two_parents() -> None:
    problem = toy_problem(13.0)
    strategy = Evolution(problem, seed=0, population=2, tournament=1, crossover=1.0)
    parents = strategy.ask(2)
    strategy.tell([evaluate(request) for request in parents])
    shared = []
    for child in strategy.ask(20):
        taken = [sum(child.decisions.get(n) == p.decisions.get(n) for n in p.decisions) for p in parents]
        shared.append(min(taken))
    assert np.mean(shared) > 2
