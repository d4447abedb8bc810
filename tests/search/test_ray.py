"""A real Ray on this machine: what its workers return, and what becomes of a candidate whose worker is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from toy_space import miou, toy_problem

from hwnas.search.evolution import Evolution
from hwnas.search.executor import Executor
from hwnas.search.ray_executor import local_ray, ray_workers
from hwnas.search.run import SearchResult, search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import open_study

pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")

DIVERGES, DIES_ONCE, EVALUATIONS = 1, 4, 12


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """For all of these tests: it takes seconds to start."""
    with local_ray(2):
        yield


class Noting:
    """Appends the candidate's number and its own process to a file before it does anything else."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def evaluate(self, request: Request) -> Outcome:
        before = self.notes.read_text() if self.notes.exists() else ""
        with self.notes.open("a") as stream:
            stream.write(f"{request.id}:{os.getpid()}\n")
        if request.id == DIVERGES:
            raise FloatingPointError("the loss is nan")
        if request.id == DIES_ONCE and f"\n{DIES_ONCE}:" not in before:
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(request, {"miou": miou(request.decisions)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray")


@pytest.fixture(scope="module")
def result(folder: Path) -> SearchResult:
    """A search by two workers, one of which is killed."""
    problem = toy_problem()
    study = open_study(folder / "study.journal", problem, identity={}, seed=0)
    strategy = Evolution(problem, seed=0, population=6, tournament=2)
    with ray_workers(partial(Noting, folder / "notes"), 2) as workers:
        assert isinstance(workers, Executor)
        found = search(problem, strategy, workers, study, evaluations=EVALUATIONS)
    study.close()
    return found


def evaluated_by(folder: Path) -> list[tuple[int, int]]:
    """(request, process) of every evaluation that was begun."""
    pairs = (line.split(":") for line in (folder / "notes").read_text().split())
    return [(int(number), int(pid)) for number, pid in pairs]


def test_everything_is_evaluated_once_by_processes_of_their_own(result: SearchResult, folder: Path) -> None:
    assert sorted(trial.request.id for trial in result.trials) == list(range(EVALUATIONS))
    seen = evaluated_by(folder)
    assert sorted(number for number, _ in seen) == sorted([*range(EVALUATIONS), DIES_ONCE])
    assert len({pid for _, pid in seen}) >= 2 and os.getpid() not in {pid for _, pid in seen}


def test_what_a_candidate_does_is_recorded(result: SearchResult, folder: Path) -> None:
    outcomes = {trial.request.id: trial.outcome for trial in result.trials}
    failed = {number: outcome.note for number, outcome in outcomes.items() if outcome and outcome.status == "failed"}
    assert failed == {DIVERGES: "FloatingPointError: the loss is nan"}
    good = [outcome for outcome in outcomes.values() if outcome and outcome.status == "ok"]
    assert all(outcome.values["miou"] == miou(outcome.request.decisions) for outcome in good)
    study = open_study(folder / "study.journal", toy_problem(), identity={}, seed=0)
    assert tuple(study.finished) == result.trials and not study.running


def test_killed_worker_costs_a_second_attempt(result: SearchResult) -> None:
    attempts = {trial.request.id: trial.attempts for trial in result.trials}
    assert attempts == {number: 2 if number == DIES_ONCE else 1 for number in range(EVALUATIONS)}


def test_workers_are_gone_afterwards(result: SearchResult, folder: Path) -> None:
    """So that what is measured next has the cores for itself."""
    for _, pid in evaluated_by(folder):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
