"""Finalists come from every band of latency, half of them from the top; the beginnings of their trainings decide, and
the budget is binding once measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwnas.cli.shares import divide, profile_seconds
from hwnas.cli.stages import finals as module
from hwnas.cli.stages.finals import (
    FINALISTS,
    LEAST_MARGIN,
    TURNS,
    Finalist,
    Finals,
    Measured,
    differences,
    margin_of,
    pick,
    plan,
    with_margin,
)
from hwnas.errors import BudgetError, RunError
from hwnas.latency.contract import TimingContract
from hwnas.progress import Silent
from hwnas.search.objective import Objective
from hwnas.search.scalarise import Hinge
from hwnas.search.strategy import Outcome, Request
from hwnas.training.loop import DivergedError

MIOU = Objective("miou", {"latency_ms": 10.0})


def found(*candidates: tuple[float, float], status: str = "ok", decisions=None) -> SimpleNamespace:
    """A search result of (latency_ms, miou) candidates."""
    decisions = decisions or [{"a": n, "b": n, "c": n} for n in range(len(candidates))]
    outcomes = [
        Outcome(Request(decisions[n], n), {"latency_ms": latency_ms, "miou": miou}, status)
        for n, (latency_ms, miou) in enumerate(candidates)
    ]
    return SimpleNamespace(trials=[SimpleNamespace(outcome=outcome) for outcome in outcomes])


def test_half_of_the_finalists_use_most_of_the_budget() -> None:
    fast = [(3.0 + n / 100, 0.9 - n / 100) for n in range(20)]
    middle = [(7.0 + n / 100, 0.5 - n / 100) for n in range(20)]
    slow = [(9.0 + n / 100, 0.2 - n / 1000) for n in range(20)]
    picked = pick(found(*fast, *middle, *slow), MIOU, 10.0)
    assert len(picked) == FINALISTS
    assert [each.predicted_ms for each in picked] == [9.0, 7.0, 9.01, 3.0, 9.02, 7.01, 9.03, 3.01]


def test_an_empty_band_gives_its_turn_to_the_best_of_all() -> None:
    picked = pick(found((3.0, 0.3), (3.1, 0.2), (7.0, 0.1)), MIOU, 10.0)
    assert [each.predicted_ms for each in picked] == [3.0, 7.0, 3.1]


def test_what_failed_is_no_finalist() -> None:
    assert pick(found((5.0, 0.3), status="failed"), MIOU, 10.0) == []


def test_candidates_beyond_the_limit_are_taken_only_if_there_are_no_others() -> None:
    assert [each.predicted_ms for each in pick(found((5.0, 0.3), (9.0, 0.5)), MIOU, 8.0)] == [5.0]
    assert [each.predicted_ms for each in pick(found((9.0, 0.5)), MIOU, 8.0)] == [9.0]


def test_siblings_are_passed_over_while_there_are_others() -> None:
    decisions = [{"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1, "c": 2}, {"a": 2, "b": 2, "c": 3}]
    candidates = found((9.0, 0.5), (9.1, 0.4), (9.2, 0.3), decisions=decisions)
    assert [each.predicted_ms for each in pick(candidates, MIOU, 10.0)] == [9.0, 9.2, 9.1]
    assert differences({"a": 1, "b": 2}, {"a": 1, "c": 2}) == 2


def test_other_objectives_pick_by_their_own_scores() -> None:
    candidates = found((9.0, 0.5), (5.0, 0.45), (2.0, 0.2), (1.0, 0.1))
    hinge = Objective("miou", {"latency_ms": 10.0}, form=Hinge({"latency_ms": 5.0}, 0.1))
    assert [each.predicted_ms for each in pick(candidates, hinge, 10.0)] == [5.0, 9.0, 2.0, 1.0]
    fastest = Objective("latency_ms", {"latency_ms": 10.0})
    assert [each.predicted_ms for each in pick(candidates, fastest, 10.0)] == [1.0, 2.0, 5.0, 9.0]


def test_of_several_metrics_the_front_comes_first() -> None:
    candidates = found((9.0, 0.5), (9.5, 0.45), (2.0, 0.2), (3.0, 0.1))
    both = Objective("miou", {"latency_ms": 10.0}, also=("latency_ms",))
    assert [each.predicted_ms for each in pick(candidates, both, 10.0)] == [9.0, 2.0, 9.5, 3.0]


@pytest.mark.parametrize("minutes", [1.0, 2.0, 4.0, 10.0, 20.0, 60.0])
def test_the_others_cost_no_more_than_the_finals_may_take(minutes: float) -> None:
    """Reckoned by the plan, where every finalist takes its time and not a second more."""
    total_s = 60 * minutes
    shares = divide(total_s - profile_seconds(total_s), total_s)
    times = plan(shares.train, shares.finals)
    assert 0 < times.first < times.second <= 1
    begun = max(times.kept, round(times.first_s / (times.first * shares.train) - 0.5))
    spent = begun * times.first * shares.train
    if times.kept > 1:
        spent += times.kept * (times.second - times.first) * shares.train
    own = (times.second if times.kept > 1 else times.first) * shares.train
    assert spent - own <= shares.finals * 1.001
    assert begun >= 2
    if minutes >= 20:
        assert begun >= FINALISTS - 1 and times.kept == 3
        assert times.first == pytest.approx(0.03)


class Trainings:
    """Stands in for trainings: a candidate's score at a part of its training is in its decisions."""

    def __init__(self, field: SimpleNamespace) -> None:
        self.done: list[tuple[int, float]] = []
        self.diverging: set[int] = set()
        self.field = field

    def train(self, finalist: Finalist, part: float, checkpoint: Path) -> dict:
        n = finalist.decisions["n"]
        self.done.append((n, part))
        if n in self.diverging:
            raise DivergedError("diverged")
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_text(str(n))
        early, late = finalist.decisions["scores"]
        miou = early if part < 0.05 else late
        return {"miou": miou, "miou_int8": 0.6 - miou, "steps": round(1000 * part)}


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    monkeypatch.setattr(module, "candidate_key", lambda candidate: f"net{candidate.genotype}")
    space = SimpleNamespace(decode=lambda decisions: SimpleNamespace(genotype=decisions["n"]))
    pricing = SimpleNamespace(
        graph=lambda decisions: decisions["n"],
        costs=lambda decisions: {"latency_ms": 8.0, "params": float(decisions["n"])},
    )
    return Trainings(SimpleNamespace(space=space, pricing=pricing))


def rounds(
    trainings: Trainings, folder: Path, measured_ms: dict[int, float] | None = None, objective: Objective = MIOU
) -> Finals:
    def measure(n: int) -> Measured:
        latency_ms = (measured_ms or {}).get(n, 8.0)
        return Measured(latency_ms, latency_ms)

    made = Finals(
        trainings.field,
        None,
        None,
        measure,
        folder=folder,
        training_s=600.0,
        objective=objective,
        seed=0,
        threads=1,
        progress=Silent(),
    )
    made._train = trainings.train
    return made


def candidate(n: int, early: float, late: float = 0.0) -> Finalist:
    return Finalist({"n": n, "scores": (early, late)}, 8.0, early, early)


FIVE = [candidate(0, 0.3, 0.31), candidate(1, 0.5, 0.9), candidate(2, 0.2, 0.4), candidate(3, 0.25, 0.3)]
FIVE += [candidate(4, 0.1, 0.9)]


def test_the_mean_of_both_comparisons_decides_and_the_measured_budget_binds(trainings, tmp_path) -> None:
    winner = rounds(trainings, tmp_path, {1: 12.0}).winner(FIVE, limit_ms=10.0, seconds=200.0)
    assert winner.decisions["n"] == 0  # 1 is over the budget, 4 was behind at the first, 2's mean is 0.3
    assert winner.scores == (0.3, 0.31) and winner.miou == 0.31 and winner.steps == 80
    assert trainings.done == [(n, 0.03) for n in range(5)] + [(n, pytest.approx(0.08)) for n in (0, 3, 2)]
    assert winner.checkpoint.read_text() == "0"


def test_with_little_time_one_comparison_decides(trainings, tmp_path) -> None:
    winner = rounds(trainings, tmp_path).winner(FIVE, limit_ms=10.0, seconds=20.0)
    assert winner.decisions["n"] == 1
    assert {part for _, part in trainings.done} == {0.03}


def test_finals_that_were_killed_go_on_where_they_were(trainings, tmp_path) -> None:
    first = rounds(trainings, tmp_path)
    for each in FIVE[:3]:
        first._reach(each, 0.03)
    winner = rounds(trainings, tmp_path).winner(FIVE, limit_ms=10.0, seconds=200.0)
    assert winner.decisions["n"] == 1
    assert [n for n, part in trainings.done if part == 0.03] == [0, 1, 2, 3, 4]
    again = rounds(trainings, tmp_path).winner(FIVE, limit_ms=10.0, seconds=200.0)
    assert again == winner and len(trainings.done) == 8


def test_no_more_begin_when_the_time_is_up(trainings, tmp_path) -> None:
    for n in range(5):
        record = tmp_path / f"net{n}.json"
        record.write_text(json.dumps({"0.030000": {"miou": 0.1 * n, "steps": 30, "took_s": 40.0}}))
    rounds(trainings, tmp_path).winner(FIVE, limit_ms=10.0, seconds=200.0)
    assert len({n for n, _ in trainings.done} | {0}) <= 4  # 158 s are for the first comparison


def test_a_finalist_that_diverges_is_the_worst(trainings, tmp_path) -> None:
    trainings.diverging = {1}
    assert rounds(trainings, tmp_path).winner(FIVE[:2], limit_ms=10.0, seconds=20.0).decisions["n"] == 0


def test_the_objective_decides(trainings, tmp_path) -> None:
    """Quantized, the networks here are the better, the worse they are in float."""
    int8 = rounds(trainings, tmp_path, objective=Objective("miou_int8")).winner(FIVE, limit_ms=10.0, seconds=20.0)
    assert int8.decisions["n"] == 4 and int8.qualities == {"miou_int8": pytest.approx(0.5)} and int8.miou == 0.1
    few = Objective("miou", form=Hinge({"params": 2.0}, 0.5))
    assert rounds(trainings, tmp_path, objective=few).winner(FIVE, 10.0, 20.0).decisions["n"] == 1
    fewest = rounds(trainings, tmp_path, objective=Objective("params"))
    assert fewest.winner(FIVE[1:], 10.0, 20.0).decisions["n"] == 1
    trainings.diverging = {0}
    assert rounds(trainings, tmp_path / "new", objective=Objective("params")).winner(FIVE, 10.0, 20.0).decisions["n"]


def test_the_first_that_is_within_and_can_be_trained_wins_without_a_comparison(trainings, tmp_path) -> None:
    trainings.diverging = {1}
    winner = rounds(trainings, tmp_path, {0: 12.0}).first(FIVE, 10.0)
    assert winner.decisions["n"] == 2 and winner.steps == 30 and winner.checkpoint is not None
    assert trainings.done == [(1, 0.03), (2, 0.03)]


def test_error_when_no_training_gets_anywhere(trainings, tmp_path) -> None:
    trainings.diverging = {0, 1}
    for way in ("winner", "first"):
        made = rounds(trainings, tmp_path / way)
        with pytest.raises(RunError, match="diverged"):
            made.winner(FIVE[:2], 10.0, 20.0) if way == "winner" else made.first(FIVE[:2], 10.0)


def test_error_when_all_are_over(trainings, tmp_path) -> None:
    with pytest.raises(BudgetError, match="measured within 10 ms"):
        rounds(trainings, tmp_path, {0: 11.0}).winner([candidate(0, 0.3)], limit_ms=10.0, seconds=1.0)


def test_turns_are_even() -> None:
    assert sum(turn == (0.8, 1.0) for turn in TURNS) * 2 == len(TURNS)


def contract(reference_ms: float, drift: float = 0.0) -> TimingContract:
    return TimingContract("a", 2, "e", "1", "fp32", 1, (8, 8), reference_ms=reference_ms, reference_drift=drift)


def test_the_margin_is_what_the_machine_has_been_seen_to_drift() -> None:
    quiet, drifting = contract(1.0, 0.01), contract(1.0, 0.2)
    assert margin_of(quiet) == LEAST_MARGIN and margin_of(drifting) == pytest.approx(1.2)
    assert with_margin(10.0, contract(1.0), drifting).slowest_ms == pytest.approx(12.0)
    assert with_margin(10.0, contract(0.8), drifting).slowest_ms == pytest.approx(15.0)  # quick now: it will not stay
    assert with_margin(10.0, contract(1.5), drifting).slowest_ms == pytest.approx(12.0)  # slow now: it may get slower
    assert with_margin(10.0, contract(0.0), drifting).slowest_ms == pytest.approx(12.0)  # nobody timed the reference
