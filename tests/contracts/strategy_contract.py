"""What every search strategy must keep to. ``make(problem, seed=…)`` makes one; each check is a function.

Strategies that take long to think are played for fewer rounds: those of ``make.rounds`` (a share) if it has that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from toy_space import evaluate, toy_problem

from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.strategy import FOREIGN, Outcome, Request, Strategy
from hwnas.spaces.decisions import canonical, check

Make = Callable[..., Strategy]


def turns(make: Make, count: int) -> int:
    """``count``, or the part of it that a slow strategy is played for."""
    return round(count * getattr(make, "rounds", 1.0))


def play(strategy: Strategy, rounds: int, rng: np.random.Generator, most: int = 4) -> list[Request]:
    """Ask for some, answer some of those in flight in random order, ``rounds`` times; then answer the rest."""
    asked: list[Request] = []
    waiting: list[Request] = []
    for _ in range(rounds):
        new = strategy.ask(int(rng.integers(1, most + 1)))
        asked += new
        waiting += new
        rng.shuffle(waiting)  # type: ignore[arg-type]
        answered = [waiting.pop() for _ in range(int(rng.integers(0, len(waiting) + 1)))]
        strategy.tell([outcome_of(request) for request in answered])
    strategy.tell([outcome_of(request) for request in waiting])
    return asked


def outcome_of(request: Request) -> Outcome:
    """Every seventh fails and every eleventh turns out to be infeasible."""
    if request.id % 7 == 3:
        return Outcome(request, status="failed", note="out of memory")
    outcome = evaluate(request)
    return replace(outcome, status="infeasible") if request.id % 11 == 5 else outcome


def check_asks_only_feasible_and_canonical(make: Make) -> None:
    problem = toy_problem(budget_ms=6.0)
    for request in play(make(problem, seed=1), turns(make, 40), np.random.default_rng(0)):
        check(problem.space, request.decisions)
        assert canonical(problem.space, request.decisions) == dict(request.decisions)
        assert problem.feasible(request.decisions)


def check_finds_feasible_ones_where_they_are_rare(make: Make) -> None:
    problem = toy_problem(budget_ms=2.0)  # 45 of 82,000
    strategy = make(problem, seed=0)
    found = play(strategy, 8, np.random.default_rng(3))
    assert len(found) >= 8
    assert all(problem.feasible(request.decisions) for request in found)


def check_never_repeats(make: Make) -> None:
    problem = toy_problem()
    asked = play(make(problem, seed=2), 60, np.random.default_rng(1))
    assert len({(problem.key(request.decisions), request.fidelity) for request in asked}) == len(asked)
    assert [request.id for request in asked] == list(range(len(asked)))


def check_answers_at_most_count(make: Make) -> None:
    strategy = make(toy_problem(), seed=3)
    assert len(strategy.ask(5)) <= 5
    assert strategy.ask(0) == []


def check_waits_or_goes_on_but_never_stalls(make: Make) -> None:
    """With nothing in flight and a space that is not exhausted, something is asked for, whatever failed."""
    strategy = make(toy_problem(), seed=4)
    for _ in range(60):
        requests = strategy.ask(1)
        assert requests
        strategy.tell([Outcome(request, status="failed") for request in requests])


def check_ends_when_the_space_is_exhausted(make: Make) -> None:
    problem = toy_problem(budget_ms=1.5)  # all zero, or one depth of 1
    strategy = make(problem, seed=5)
    asked: list[Request] = []
    while requests := strategy.ask(3):
        asked += requests
        strategy.tell([outcome_of(request) for request in requests])
    assert len({problem.key(request.decisions) for request in asked}) == 9
    assert len(asked) <= 9 * 3  # at as many fidelities as it has


def check_seed_decides(make: Make) -> None:
    runs = [play(make(toy_problem(), seed=seed), turns(make, 20), np.random.default_rng(0)) for seed in (7, 7, 8)]
    decisions = [[dict(request.decisions) for request in run] for run in runs]
    assert decisions[0] == decisions[1] != decisions[2]


def check_restored_state_has_the_same_future(make: Make) -> None:
    for rounds in (0, 1, 15, 40):
        strategy = make(toy_problem(), seed=9)
        play(strategy, turns(make, rounds), np.random.default_rng(rounds))
        in_flight = strategy.ask(2)
        state: dict[str, Any] = json.loads(json.dumps(strategy.state(), allow_nan=False))
        restored = make(toy_problem(), seed=0)
        restored.restore(state)
        for twin in (strategy, restored):
            twin.tell([outcome_of(request) for request in in_flight])
        futures = [play(twin, turns(make, 25), np.random.default_rng(5)) for twin in (strategy, restored)]
        assert futures[0] == futures[1]
        assert strategy.state() == restored.state()


def check_state_is_a_snapshot(make: Make) -> None:
    strategy = make(toy_problem(), seed=9)
    state = strategy.state()
    before = json.dumps(state)
    play(strategy, 5, np.random.default_rng(0))
    assert json.dumps(state) == before


def check_told_history_has_the_same_future(make: Make) -> None:
    """Resuming: a new strategy with the same seed is told what happened, in order, and goes on the same way."""
    strategy, resumed = make(toy_problem(), seed=11), make(toy_problem(), seed=11)
    history = []
    for _ in range(turns(make, 45)):
        (request,) = strategy.ask(1)
        history.append(outcome_of(request))
        strategy.tell(history[-1:])
    resumed.tell(history)
    futures = [play(twin, turns(make, 20), np.random.default_rng(5), most=1) for twin in (strategy, resumed)]
    assert futures[0] == futures[1]


def check_learns_from_what_other_processes_asked_for(make: Make) -> None:
    """Their outcomes come with the id FOREIGN; its own requests are then numbered and asked for as ever, and new."""
    problem = toy_problem()
    other = play(make(problem, seed=21), 12, np.random.default_rng(2), most=2)
    strategy = make(problem, seed=22)
    asked = strategy.ask(2)
    known = {problem.key(request.decisions) for request in asked}
    foreign = [replace(outcome_of(request), request=replace(request, id=FOREIGN)) for request in other]
    strategy.tell([outcome for outcome in foreign if problem.key(outcome.request.decisions) not in known])
    strategy.tell([outcome_of(request) for request in asked])
    later = play(strategy, 12, np.random.default_rng(3), most=2)
    assert later
    assert [request.id for request in (*asked, *later)] == list(range(len(asked) + len(later)))
    if all(request.fidelity == 1 for request in other):  # else a candidate may be wanted at the fidelity of another
        assert not {problem.key(each.decisions) for each in later} & {problem.key(each.decisions) for each in other}


def check_does_not_depend_on_the_global_seed(make: Make) -> None:
    runs = []
    for seed in (0, 1):
        np.random.seed(seed)
        runs.append(play(make(toy_problem(), seed=3), 10, np.random.default_rng(0)))
    assert runs[0] == runs[1]


def check_serves_a_problem_without_limits(make: Make) -> None:
    problem = Problem(toy_problem().space, Objective())
    assert make(problem, seed=0).ask(1)


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]


def best_after(strategy: Strategy, evaluations: int) -> float:
    """Best score of a search of so many evaluations, one at a time."""
    best = -np.inf
    for _ in range(evaluations):
        outcomes = [evaluate(request) for request in strategy.ask(1)]
        strategy.tell(outcomes)
        best = max([best, *(outcome.values["miou"] for outcome in outcomes)])
    return float(best)
