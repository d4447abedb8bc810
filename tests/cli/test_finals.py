"""Finalists come from every band of latency, the best of each first, and the budget is binding once measured."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hwnas.cli.stages.finals import LEAST_MARGIN, Finalist, Finals, Measured, margin_of, pick, with_margin
from hwnas.errors import BudgetError
from hwnas.latency.contract import TimingContract
from hwnas.progress import Silent
from hwnas.search.strategy import Outcome, Request


def found(*candidates: tuple[float, float], status: str = "ok") -> SimpleNamespace:
    """A search result of (latency_ms, miou) candidates."""
    outcomes = [
        Outcome(Request({"n": n}, n), {"latency_ms": latency_ms, "miou": miou}, status)
        for n, (latency_ms, miou) in enumerate(candidates)
    ]
    return SimpleNamespace(trials=[SimpleNamespace(outcome=outcome) for outcome in outcomes])


def test_every_band_sends_its_best() -> None:
    fast = [(5.0, 0.30), (6.0, 0.29), (6.5, 0.28)]
    middle = [(7.5, 0.20), (8.0, 0.21)]
    slow = [(9.0, 0.10), (9.9, 0.12)]
    picked = pick(found(*fast, *middle, *slow), 10.0, count=4)
    assert [each.slice_miou for each in picked] == [0.30, 0.21, 0.12, 0.10]
    assert len(pick(found(*fast, *middle, *slow), 10.0, count=20)) == 7


def test_what_failed_is_no_finalist() -> None:
    assert pick(found((5.0, 0.3), status="failed"), 10.0) == []


class Timed(Finals):
    """Finals whose trainings are made up: a candidate gains what its decisions say."""

    def _trained(self, finalist: Finalist, seconds: float) -> Finalist:
        self.trained.append((finalist.decisions["n"], round(seconds, 3)))
        gained = finalist.decisions["gain"]
        return Finalist(
            finalist.decisions, finalist.predicted_ms, finalist.slice_miou, finalist.miou + gained, finalist.steps + 1
        )


def finals(measured_ms: dict[int, float]) -> Timed:
    pricing = SimpleNamespace(graph=lambda decisions: decisions["n"])
    made = Timed(
        SimpleNamespace(pricing=pricing),
        None,
        None,
        lambda n: Measured(measured_ms[n], measured_ms[n]),
        seed=0,
        threads=1,
        progress=Silent(),
    )
    made.trained = []
    return made


def candidate(n: int, miou: float, gain: float) -> Finalist:
    return Finalist({"n": n, "gain": gain}, 8.0, miou, miou)


def test_short_trainings_decide_and_the_measured_budget_binds() -> None:
    rounds = finals({0: 8.0, 1: 12.0, 2: 8.0, 3: 8.0, 4: 8.0})
    five = [candidate(0, 0.3, 0.0), candidate(1, 0.1, 0.5), candidate(2, 0.2, 0.3)]
    five += [candidate(3, 0.2, 0.2), candidate(4, 0.1, 0.0)]
    winner = rounds.winner(five, limit_ms=10.0, seconds=100.0)
    assert winner.decisions["n"] == 2  # the best, 1, is over the budget
    assert [n for n, _ in rounds.trained] == [0, 1, 2, 3, 4, 2, 3, 0]
    assert sum(seconds for _, seconds in rounds.trained) == pytest.approx(100.0, abs=0.01)


def test_error_when_all_are_over() -> None:
    with pytest.raises(BudgetError, match="measured within 10 ms"):
        finals({0: 11.0}).winner([candidate(0, 0.3, 0.1)], limit_ms=10.0, seconds=1.0)


def contract(reference_ms: float, drift: float = 0.0) -> TimingContract:
    return TimingContract("a", 2, "e", "1", "fp32", 1, (8, 8), reference_ms=reference_ms, reference_drift=drift)


def test_the_margin_is_what_the_machine_has_been_seen_to_drift() -> None:
    quiet, drifting = contract(1.0, 0.01), contract(1.0, 0.2)
    assert margin_of(quiet) == LEAST_MARGIN and margin_of(drifting) == pytest.approx(1.2)
    assert with_margin(10.0, contract(1.0), drifting).slowest_ms == pytest.approx(12.0)
    assert with_margin(10.0, contract(0.8), drifting).slowest_ms == pytest.approx(15.0)  # quick now: it will not stay
    assert with_margin(10.0, contract(1.5), drifting).slowest_ms == pytest.approx(12.0)  # slow now: it may get slower
    assert with_margin(10.0, contract(0.0), drifting).slowest_ms == pytest.approx(12.0)  # nobody timed the reference


def test_candidates_beyond_the_limit_are_taken_only_if_there_are_no_others() -> None:
    assert [each.predicted_ms for each in pick(found((5.0, 0.3), (9.0, 0.5)), 8.0)] == [5.0]
    assert [each.predicted_ms for each in pick(found((9.0, 0.5)), 8.0)] == [9.0]
