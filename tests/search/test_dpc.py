"""DPC: rounds of proxied candidates, then the best of them at full size."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toy_space import evaluate, toy_problem

from hwnas.errors import HwnasError
from hwnas.search.dpc import Dpc
from hwnas.search.strategy import FOREIGN, Request


def played(strategy: Dpc, rounds: int) -> list[Request]:
    asked = []
    for _ in range(rounds):
        (request,) = strategy.ask(1)
        asked.append(request)
        strategy.tell([evaluate(request)])
    return asked


def test_each_round_ends_with_the_best_of_all_at_full_size() -> None:
    asked = played(Dpc(toy_problem(), seed=0, candidates=6, finalists=2, proxy=0.2), 24)
    assert [request.fidelity for request in asked] == ([0.2] * 6 + [1.0] * 2) * 3
    for end in (6, 14, 22):
        before = [request for request in asked[:end] if request.fidelity < 1]
        gone = [dict(request.decisions) for request in asked[:end] if request.fidelity == 1]
        left = [request for request in before if dict(request.decisions) not in gone]
        left.sort(key=lambda request: -evaluate(request).values["miou"])
        expected = [dict(request.decisions) for request in left[:2]]
        assert [dict(request.decisions) for request in asked[end : end + 2]] == expected
    assert all(request.continue_from is None for request in asked)


def test_some_are_drawn_near_the_best_so_far() -> None:
    def distance(a: Request, b: Request) -> int:
        return sum(a.decisions.get(name) != b.decisions.get(name) for name in {*a.decisions, *b.decisions})

    near, far = (
        [min(distance(request, other) for other in asked[:place]) for place, request in enumerate(asked) if place >= 10]
        for share in (1.0, 0.0)
        for asked in [played(Dpc(toy_problem(), seed=0, candidates=40, near=share), 40)]
    )
    assert sum(each <= 2 for each in near) == 30  # one choice, and "extra", which x0 switches on
    assert sum(each <= 2 for each in far) < 15


def test_finalists_wait_for_the_whole_round() -> None:
    strategy = Dpc(toy_problem(), seed=0, candidates=4, finalists=1)
    round_one = strategy.ask(10)
    assert len(round_one) == 4
    strategy.tell([evaluate(request) for request in round_one[1:]])
    assert strategy.ask(3) == []
    strategy.tell([evaluate(round_one[0])])
    best, *others = strategy.ask(3)
    assert best.fidelity == 1 and {request.fidelity for request in others} == {0.1}


def test_candidates_of_other_processes_count() -> None:
    strategy, other = (Dpc(toy_problem(), seed=seed, candidates=6, finalists=2) for seed in (0, 1))
    theirs = [evaluate(request) for request in other.ask(6)]
    strategy.tell([replace(outcome, request=replace(outcome.request, id=FOREIGN)) for outcome in theirs])
    best = max(theirs, key=lambda outcome: outcome.values["miou"])
    (first,) = strategy.ask(1)
    assert first.fidelity == 1
    assert dict(first.decisions) == dict(best.request.decisions)


def test_numbers_that_cannot_be_are_refused() -> None:
    with pytest.raises(HwnasError, match="4 finalists"):
        Dpc(toy_problem(), seed=0, candidates=3, finalists=4)
    with pytest.raises(HwnasError, match="a proxy of 1"):
        Dpc(toy_problem(), seed=0, proxy=1.0)
