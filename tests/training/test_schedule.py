"""Budgets by steps and by seconds, and the learning rate that follows them."""

from __future__ import annotations

import pytest

from hwnas.errors import HwnasError
from hwnas.training.recipe import SCHEDULES, Recipe
from hwnas.training.schedule import Budget, Schedule, Spent


def test_fraction_is_of_what_ends_first():
    budget = Budget(steps=100, seconds=10.0)
    assert budget.fraction(Spent(50, 1.0)) == 0.5
    assert budget.fraction(Spent(10, 9.0)) == 0.9
    assert budget.fraction(Spent(1000, 99.0)) == 1.0


@pytest.mark.parametrize("limits", [{}, {"steps": 0}, {"seconds": -1.0}, {"seconds": float("nan")}])
def test_error_on_impossible_budget(limits):
    with pytest.raises(HwnasError):
        Budget(**limits)


def test_rate_warms_up_then_falls_to_nearly_nothing():
    schedule = Schedule(warmup=0.1, power=1.0)
    assert schedule.factor(0.0) < 0.02
    assert schedule.factor(0.1) == pytest.approx(0.9)
    assert schedule.factor(0.5) == pytest.approx(0.5)
    assert schedule.factor(1.0) == 1e-3


def test_curves_of_recipes():
    halfway = {name: Schedule.of(Recipe(schedule=name, warmup=0.0)).factor(0.5) for name in SCHEDULES}
    assert halfway == pytest.approx({"poly": 0.5**0.9, "cosine": 0.5, "constant": 1.0})
    cosine = Schedule.of(Recipe(schedule="cosine", warmup=0.0))
    assert cosine.factor(0.25) == pytest.approx((1 + 2**-0.5) / 2)
    assert cosine.factor(1.0) == 1e-3
