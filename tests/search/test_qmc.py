"""Sobol points: even cover, and the place in the sequence found again."""

from __future__ import annotations

from collections import Counter

import pytest
from toy_space import evaluate, toy_problem

from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.qmc import QuasiRandom


def test_every_option_comes_as_often_as_the_others() -> None:
    """Of 64 successive points each of four options has 16; a random search would miss that by 3 or so each time."""
    asked = QuasiRandom(Problem(toy_problem().space, Objective()), seed=0).ask(64)
    for index in range(8):
        counts = Counter(request.decisions[f"x{index}"] for request in asked)
        assert all(15 <= counts[option] <= 17 for option in range(4))


@pytest.mark.parametrize("budget_ms", [13.0, 5.0, 2.0])
def test_told_of_another_life_it_goes_on_at_the_same_place(budget_ms: float) -> None:
    first, second = (QuasiRandom(toy_problem(budget_ms), seed=4) for _ in range(2))
    told = []
    for _ in range(12):
        told += [evaluate(request) for request in first.ask(1)]
        first.tell(told[-1:])
    second.tell(told)
    assert first.state() == second.state()
    assert first.ask(3) == second.ask(3)
