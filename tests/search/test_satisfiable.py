"""The ranges of costs in a space, and the refusal of limits that nothing keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from toy_space import ToySpace, depths, price

from hwnas.errors import BudgetError
from hwnas.search.objective import Budget, Objective
from hwnas.search.satisfiable import Satisfiable, satisfiable
from hwnas.spaces.base import Decisions


class ToyCosts:
    """The toy's latency, and widths that are the larger the shallower it is: 24 less the sum of depths."""

    names = ("latency_ms", "params")

    def slow(self, name: str) -> bool:
        return name == "params"

    def of_many(self, decisions: Sequence[Decisions], names: Sequence[str]) -> dict[str, np.ndarray]:
        found = {
            "latency_ms": np.array([price(each)["latency_ms"] for each in decisions]),
            "params": np.array([25.0 - depths(each).sum() for each in decisions]),
        }
        return {name: found[name] for name in names}


def under(limits: dict[str, float], samples: int = 20, **budgets: Budget) -> Satisfiable:
    return satisfiable(
        ToySpace(), ToyCosts(), Objective(limits=limits), np.random.default_rng(0), samples=samples, budgets=budgets
    )


def test_extremes_are_found_by_descent_from_few_samples() -> None:
    found = under({"latency_ms": 8.0}).ranges["latency_ms"]
    assert (found.lowest, found.highest) == (1.0, 13.0)  # all 0 and all 3: one in 65,536 each
    assert found.lowest < found.median < found.highest
    assert price(found.cheapest)["latency_ms"] == 1.0
    assert found.share is not None and 0 < found.share < 1


def test_every_cost_has_its_range_limited_or_not() -> None:
    found = under({"latency_ms": 8.0}, samples=300)
    params = found.ranges["params"]
    assert (params.lowest, params.highest, params.limit, params.share) == (1.0, 25.0, None, None)
    assert abs(params.median - 13) < 1.5
    assert found.to_dict()["costs"]["params"] == {
        "lowest": 1.0,
        "median": params.median,
        "highest": 25.0,
        "samples": 300,
        "limit": None,
        "share": None,
    }


def test_impossible_budget_names_the_fastest() -> None:
    with pytest.raises(BudgetError, match=r"nothing in the space toy can meet 0.5 ms: the fastest is 1.00 ms"):
        under({"latency_ms": 0.5}, latency_ms=Budget(0.5))


def test_impossible_budget_at_p90_speaks_of_p90() -> None:
    budget = Budget(1.0, "p90", ratio=1.5)
    with pytest.raises(BudgetError, match=r"can meet 1 ms at p90: the fastest is 1.50 ms"):
        under({"latency_ms": budget.p50_ms}, latency_ms=budget)


def test_each_limit_that_cannot_be_met_is_named_with_its_floor() -> None:
    with pytest.raises(BudgetError, match=r"params ≤ 0.5: the lowest is 1"):
        under({"params": 0.5})
    with pytest.raises(BudgetError, match=r"0.5 ms; or params ≤ 0.5: the fastest is 1.00 ms; the lowest is 1"):
        under({"params": 0.5, "latency_ms": 0.5}, latency_ms=Budget(0.5))


def test_of_costs_that_are_slow_to_tell_fewer_samples_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwnas.search.satisfiable.SLOW_SAMPLES", 7)
    found = under({"latency_ms": 8.0, "params": 20.0})
    assert {name: each.samples for name, each in found.ranges.items()} == {"latency_ms": 20, "params": 7}


def test_limits_that_contradict_each_other_are_one_error_with_the_floors() -> None:
    with pytest.raises(BudgetError, match="keeps all limits at once") as caught:
        under({"params": 5.0, "latency_ms": 5.0})
    assert "latency_ms 1, params 1" in caught.value.hint
    together = under({"params": 14.0, "latency_ms": 7.0}, samples=3)  # sums of 11 and 12
    assert 11 <= depths(together.within).sum() <= 12


def test_what_has_no_price_is_over_every_limit_and_not_the_dearest() -> None:
    class Holes(ToyCosts):
        def of_many(self, decisions: Sequence[Decisions], names: Sequence[str]) -> dict[str, np.ndarray]:
            found = super().of_many(decisions, names)
            return {name: np.where(depths_of(decisions) > 16, np.inf, values) for name, values in found.items()}

    found = satisfiable(ToySpace(), Holes(), Objective(), np.random.default_rng(0), samples=200)
    assert found.ranges["latency_ms"].highest == 9.0
    assert np.isfinite(found.ranges["latency_ms"].median)


def depths_of(decisions: Sequence[Decisions]) -> np.ndarray:
    return np.array([depths(each).sum() for each in decisions])


def test_seed_decides() -> None:
    assert under({"latency_ms": 8.0}, samples=50) == under({"latency_ms": 8.0}, samples=50)
