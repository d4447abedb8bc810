"""Budgets and objectives: over a limit is infeasible, unmeasured is an error, NaN is a failure."""

from __future__ import annotations

import pytest

from hwnas.errors import BudgetError, HwnasError
from hwnas.search.objective import Budget, Objective
from hwnas.search.strategy import Outcome, Request

REQUEST = Request({"x": 1}, 0)


def judged(objective: Objective, **values: float) -> Outcome:
    return objective.judge(Outcome(REQUEST, values))


@pytest.mark.parametrize("latency_ms", [0.0, -3.0, float("inf"), float("nan")])
def test_bad_budget_is_a_budget_error(latency_ms: float) -> None:
    with pytest.raises(BudgetError):
        Budget(latency_ms)


def test_budget_at_p90_binds_through_the_measured_ratio() -> None:
    assert Budget(10.0, "p90", ratio=1.25).p50_ms == pytest.approx(8.0)
    assert Budget(10.0).p50_ms == 10.0


def test_budget_at_an_unmeasured_percentile_is_an_error() -> None:
    with pytest.raises(BudgetError, match="not measured"):
        Objective.under(Budget(10.0, "p99"))
    with pytest.raises(BudgetError, match="p75"):
        Budget(10.0, "p75")


def test_budget_with_confidence_binds_the_upper_end_of_the_interval() -> None:
    budget = Budget(10.0, "p90", ratio=1.25, confidence=0.9, upper=1.1)
    assert budget.p50_ms == pytest.approx(10.0 / 1.25 / 1.1)
    assert "confidence of 0.9" in str(budget)
    assert Budget(10.0, confidence=0.9, upper=1.1).p50_ms < Budget(10.0).p50_ms


@pytest.mark.parametrize(("confidence", "upper"), [(0.0, 1.1), (1.0, 1.1), (90.0, 1.1), (0.9, None), (0.9, 0.5)])
def test_confidence_that_is_none_is_a_budget_error(confidence: float, upper: float | None) -> None:
    with pytest.raises(BudgetError, match=r"confidence|interval"):
        Budget(10.0, confidence=confidence, upper=upper)


def test_limits_on_qualities_are_lower_ones() -> None:
    objective = Objective("params", {"miou_int8": 0.4})
    under = judged(objective, params=1e6, miou_int8=0.39)
    assert under.status == "infeasible" and under.note == "miou_int8 0.39 is under 0.4"
    assert judged(objective, params=1e6, miou_int8=0.4).status == "ok"
    assert objective.qualities == ("miou_int8",) and objective.needs == ("params", "miou_int8")
    assert objective.excess({"params": 1e9}) < 0 < objective.excess({"miou_int8": 0.2})
    with pytest.raises(BudgetError, match="no network has a miou of 45"):
        Objective("miou", {"miou": 45.0})


def test_over_budget_is_infeasible_not_penalised() -> None:
    objective = Objective.under(Budget(10.0))
    over = judged(objective, miou=0.99, latency_ms=10.001)
    assert over.status == "infeasible"
    assert objective.score(over) is None
    assert "10" in over.note
    within = judged(objective, miou=0.5, latency_ms=10.0)
    assert objective.score(within) == 0.5


@pytest.mark.parametrize("values", [{"miou": 0.5}, {"latency_ms": 3.0}, {}])
def test_unmeasured_metric_is_an_error_not_a_pass(values: dict[str, float]) -> None:
    with pytest.raises(HwnasError, match="not measured"):
        judged(Objective.under(Budget(10.0)), **values)


@pytest.mark.parametrize(
    "values", [{"miou": float("nan"), "latency_ms": 1.0}, {"miou": 0.5, "latency_ms": float("inf")}]
)
def test_nan_is_a_failure(values: dict[str, float]) -> None:
    assert judged(Objective.under(Budget(10.0)), **values).status == "failed"


def test_failed_outcome_needs_no_metrics() -> None:
    failed = Outcome(REQUEST, status="failed", note="diverged")
    assert Objective.under(Budget(1.0)).judge(failed) is failed


def test_excess_is_of_the_worst_known_limit() -> None:
    objective = Objective("miou", {"latency_ms": 10.0, "macs": 100.0})
    assert objective.excess({"latency_ms": 5.0, "macs": 150.0}) == pytest.approx(0.5)
    assert objective.excess({"latency_ms": 10.0}) == 0.0
    assert objective.excess({}) < 0
    assert objective.excess({"latency_ms": float("nan")}) == float("inf")
