"""The loop: what ends it, what failures do to it, and that resuming changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from toy_space import ToyEvaluator, miou, toy_problem

from hwnas.errors import HwnasError, RunError
from hwnas.search.evolution import Evolution
from hwnas.search.executor import Done
from hwnas.search.halving import Halving
from hwnas.search.objective import Budget, Objective
from hwnas.search.problem import Problem
from hwnas.search.random_search import RandomSearch
from hwnas.search.run import FAILURES_IN_A_ROW, SearchResult, search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import Study, open_study
from hwnas.search.trial import Trial


def study_in(folder: Path, problem: Problem | None = None) -> Study:
    return open_study(folder / "study.journal", problem or toy_problem(), identity={}, seed=0)


def evolve(folder: Path, evaluator: object, evaluations: int = 40, **options: object) -> SearchResult:
    problem = toy_problem()
    strategy = Evolution(problem, seed=0, population=8, tournament=3)
    return search(problem, strategy, evaluator, study_in(folder), evaluations=evaluations, **options)  # type: ignore


def visited(result: SearchResult) -> list[dict[str, object]]:
    return [dict(trial.request.decisions) for trial in result.trials]


def test_search_returns_the_best_feasible_candidate(tmp_path: Path) -> None:
    evaluator = ToyEvaluator()
    result = evolve(tmp_path, evaluator)
    assert result.evaluations == len(result.trials) == len(evaluator.requests) == 40
    assert result.stopped == "evaluations"
    assert result.values["miou"] == max(miou(request.decisions) for request in evaluator.requests)
    assert miou(result.decisions) == result.values["miou"]
    assert result.values["latency_ms"] <= 8.0


def test_resumed_search_visits_what_an_uninterrupted_one_visits(tmp_path: Path) -> None:
    whole = evolve(tmp_path / "whole", ToyEvaluator())
    for end in (3, 11, 12, 30, 40):
        evaluator = ToyEvaluator()
        parts = evolve(tmp_path / "parts", evaluator, evaluations=end)
        assert visited(parts) == visited(whole)[:end]
    assert parts.values == whole.values


class Interrupted:
    """Is cut off in the middle of its n-th evaluation."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.inner = ToyEvaluator()

    def evaluate(self, request: Request) -> Outcome:
        if len(self.inner.requests) == self.at:
            raise KeyboardInterrupt
        return self.inner.evaluate(request)


def test_candidate_cut_off_once_is_evaluated_again_in_its_place(tmp_path: Path) -> None:
    whole = evolve(tmp_path / "whole", ToyEvaluator())
    with pytest.raises(KeyboardInterrupt):
        evolve(tmp_path / "parts", Interrupted(17))
    assert visited(evolve(tmp_path / "parts", ToyEvaluator())) == visited(whole)


def test_candidate_cut_off_twice_is_recorded_as_failed(tmp_path: Path) -> None:
    for at in (5, 0):
        with pytest.raises(KeyboardInterrupt):
            evolve(tmp_path, Interrupted(at))
    result = evolve(tmp_path, ToyEvaluator(), evaluations=10)
    assert [trial.outcome.status for trial in result.trials].index("failed") == 5
    assert "killed twice" in result.trials[5].outcome.note
    assert result.evaluations == 10


class Faulty:
    """Every third diverges, every fourth raises."""

    def __init__(self) -> None:
        self.count = 0

    def evaluate(self, request: Request) -> Outcome:
        self.count += 1
        if self.count % 4 == 0:
            raise MemoryError("out of memory")
        return Outcome(request, {"miou": float("nan") if self.count % 3 == 0 else miou(request.decisions)})


def test_failures_are_outcomes(tmp_path: Path) -> None:
    result = evolve(tmp_path, Faulty(), evaluations=12)
    notes = [trial.outcome.note for trial in result.trials]
    assert notes == [
        "",
        "",
        "miou is nan",
        "out of memory: out of memory",
        "",
        "miou is nan",
        "",
        notes[3],
        notes[2],
        *notes[9:],
    ]
    assert sum(trial.outcome.status == "failed" for trial in result.trials) == 6
    again = evolve(tmp_path, ToyEvaluator(), evaluations=12)
    assert again.trials == result.trials


def test_error_when_nothing_keeps_a_limit_on_what_is_measured(tmp_path: Path) -> None:
    limited = replace(toy_problem(), objective=Objective("miou", {"latency_ms": 8.0, "miou": 0.99}))
    study = open_study(tmp_path / "study.journal", limited, identity={}, seed=0)
    with pytest.raises(RunError, match=r"none of 5 candidates is within the limits; .* is under 0\.99"):
        search(limited, RandomSearch(limited, seed=0), ToyEvaluator(), study, evaluations=5)
    study.close()


class Broken:
    def evaluate(self, request: Request) -> Outcome:
        raise RuntimeError("weights are missing")


def test_evaluator_that_always_fails_ends_the_search_soon(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"first {FAILURES_IN_A_ROW} candidates all failed.*weights are missing"):
        evolve(tmp_path, Broken(), evaluations=1000)


def test_no_success_within_the_end_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no candidate could be evaluated: 3 were tried; the last: RuntimeError"):
        evolve(tmp_path, Broken(), evaluations=3)


def test_measured_over_budget_is_infeasible_though_priced_within(tmp_path: Path) -> None:
    class Slower:
        def evaluate(self, request: Request) -> Outcome:
            slow = request.id % 2 == 0
            return Outcome(request, {"miou": 0.9 if slow else 0.1, "latency_ms": 8.5 if slow else 7.5})

    result = evolve(tmp_path, Slower(), evaluations=10)
    assert result.values["miou"] == 0.1
    assert [trial.outcome.status for trial in result.trials] == ["infeasible", "ok"] * 5


def test_limit_on_an_unmeasured_metric_ends_the_search(tmp_path: Path) -> None:
    problem = Problem(toy_problem().space, Objective.under(Budget(8.0)))  # no price, and the evaluator has no latency
    with pytest.raises(HwnasError, match="'latency_ms', which was not measured"):
        search(problem, RandomSearch(problem, seed=0), ToyEvaluator(), study_in(tmp_path, problem), evaluations=3)


class Ticking:
    """A clock, and an evaluator that takes 2 seconds of it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def evaluate(self, request: Request) -> Outcome:
        self.now += 2.0
        return Outcome(request, {"miou": 0.5})


def test_deadline_is_kept_and_no_candidate_begun_that_would_pass_it(tmp_path: Path) -> None:
    problem, clock = toy_problem(), Ticking()
    result = search(problem, RandomSearch(problem, seed=0), clock, study_in(tmp_path), deadline_s=9.0, clock=clock)
    assert result.evaluations == 4
    assert result.stopped == "deadline"
    assert clock.now == 108.0


def test_small_space_is_searched_to_its_end(tmp_path: Path) -> None:
    problem = toy_problem(budget_ms=1.5)
    strategy = RandomSearch(problem, seed=0)
    result = search(problem, strategy, ToyEvaluator(), study_in(tmp_path, problem), evaluations=100)
    assert (result.evaluations, result.stopped) == (9, "exhausted")


class Stubborn:
    """Asks for the same candidate for ever."""

    told = 0

    def ask(self, count: int) -> list[Request]:
        return [Request({f"x{i}": 1 for i in range(8)}, self.told)]

    def tell(self, outcomes: list[Outcome]) -> None:
        self.told += len(outcomes)


def test_no_candidate_is_evaluated_twice_even_if_asked_for(tmp_path: Path) -> None:
    evaluator = ToyEvaluator()
    result = search(toy_problem(), Stubborn(), evaluator, study_in(tmp_path), evaluations=5)  # type: ignore[arg-type]
    assert (result.evaluations, result.stopped, len(evaluator.requests)) == (1, "exhausted", 1)


class Two:
    """Two evaluations at once, which end in the order in which they began."""

    slots = 2

    def __init__(self) -> None:
        self.waiting: list[Trial] = []

    def submit(self, trial: Trial) -> None:
        self.waiting.append(trial)

    def completed(self) -> list[Done]:
        trial = self.waiting.pop(0)
        return [Done(trial, Outcome(trial.request, {"miou": miou(trial.request.decisions)}), 0.0)]


class Cut(Two):
    """Is killed while both are under way."""

    def completed(self) -> list[Done]:
        raise KeyboardInterrupt


class Attentive(RandomSearch):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(toy_problem(), seed=0)
        self.asked: list[int] = []
        self.told: list[Outcome] = []

    def ask(self, count: int) -> list[Request]:
        made = super().ask(count)
        self.asked += [request.id for request in made]
        return made

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        told = list(outcomes)
        self.told += told
        super().tell(told)


def test_what_was_cut_off_and_asked_for_again_is_told_once(tmp_path: Path) -> None:
    problem = toy_problem()
    with pytest.raises(KeyboardInterrupt):
        search(problem, Attentive(), Cut(), study_in(tmp_path), evaluations=6)
    strategy = Attentive()
    search(problem, strategy, Two(), study_in(tmp_path), evaluations=6)
    assert strategy.asked[0] == 1, "it asks for what is under evaluation again"
    assert sorted(outcome.request.id for outcome in strategy.told) == list(range(6))
    assert len({problem.key(outcome.request.decisions) for outcome in strategy.told}) == 6


@pytest.mark.parametrize("options", [{}, {"evaluations": 0}, {"evaluations": -1}])
def test_search_without_an_end_or_without_evaluations_is_an_error(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(HwnasError):
        search(toy_problem(), Stubborn(), ToyEvaluator(), study_in(tmp_path), **options)  # type: ignore[arg-type]


class Watch:
    """A progress that remembers its notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[float, str]] = []

    def task(self, label: str, total: float) -> Watch:
        assert (label, total) == ("search", 40.0)
        return self

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *error: object) -> None: ...

    def update(self, done: float, note: str = "") -> None:
        self.notes.append((done, note))

    def say(self, line: str) -> None: ...


def test_progress_shows_the_best_so_far(tmp_path: Path) -> None:
    watch = Watch()
    result = evolve(tmp_path, ToyEvaluator(), progress=watch)
    assert [done for done, _ in watch.notes] == [float(i) for i in range(41)]
    assert f"best miou {result.values['miou']:.4g}, latency_ms" in watch.notes[-1][1]
    assert "a minute" in watch.notes[-1][1]


class HalfOrWhole:
    """Asks for each of a few candidates at half fidelity, then for two of them at the whole."""

    def __init__(self) -> None:
        self.queue = [Request({**{f"x{i}": 0 for i in range(8)}, "x1": value}, value, 0.5) for value in range(4)]
        self.queue += [replace(self.queue[value], id=4 + value, fidelity=1.0) for value in (0, 1)]

    def ask(self, count: int) -> list[Request]:
        asked, self.queue = self.queue[:count], self.queue[count:]
        return asked

    def tell(self, outcomes: object) -> None:
        pass


def test_best_is_of_the_highest_fidelity(tmp_path: Path) -> None:
    result = search(toy_problem(), HalfOrWhole(), ToyEvaluator(), study_in(tmp_path), evaluations=6)  # type: ignore
    assert result.decisions["x1"] == 1


def test_the_best_is_of_the_highest_fidelity(tmp_path: Path) -> None:
    """What was evaluated for a third scores higher here; it is not the winner for that."""

    class Overrated:
        def evaluate(self, request: Request) -> Outcome:
            return Outcome(request, {"miou": miou(request.decisions) + (1 if request.fidelity < 1 else 0)})

    problem = toy_problem()
    strategy = Halving(problem, seed=0, min_fidelity=1 / 3)
    result = search(problem, strategy, Overrated(), study_in(tmp_path), evaluations=40)
    full = [trial.outcome.values["miou"] for trial in result.trials if trial.request.fidelity == 1]
    assert len(full) >= 10
    assert result.values["miou"] == max(full) < 1
