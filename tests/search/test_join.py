"""Several processes on one study: nothing is evaluated twice, lost or left over, whatever is killed, on any storage."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from joining_worker import Worker, opened
from postgres_server import PostgresServer, binaries
from toy_space import ToyEvaluator, toy_problem

from hwnas.errors import RunError
from hwnas.search.random_search import RandomSearch
from hwnas.search.run import search
from hwnas.search.strategy import FOREIGN, Outcome, Request
from hwnas.search.trial import Trial

LOG = "evaluated.jsonl"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install hwnas[postgres]")
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL binaries: install Debian's postgresql, or pip install pgserver")
    running = PostgresServer(programs)
    yield running
    running.remove()


SHARED = pytest.mark.parametrize("where", ["journal", "postgresql"], indirect=True)
"""SQLite is left out where it would take long."""


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "journal":
        return str(tmp_path / "study.journal")
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    running = request.getfixturevalue("server")
    name = f"t{abs(hash(str(tmp_path))):x}"
    import psycopg

    with psycopg.connect(running.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return str(running.url.replace("/postgres", f"/{name}"))


def evaluated(folder: Path) -> Counter[str]:
    lines = (folder / LOG).read_text().splitlines()
    return Counter(json.dumps(json.loads(line)["decisions"], sort_keys=True) for line in lines)


def key(trial: Trial) -> str:
    return json.dumps(dict(trial.request.decisions), sort_keys=True)


@SHARED
def test_two_processes_share_the_evaluations(where: str, tmp_path: Path) -> None:
    workers = [Worker(where, tmp_path / LOG, 16, join=join, pause_s=0.05, held=True) for join in (False, True)]
    for worker in workers:
        worker.go()
    assert [worker.evaluations() for worker in workers] == [16, 16]
    trials = opened(where).trials
    assert len(trials) == 16
    assert set(evaluated(tmp_path).values()) == {1}
    assert evaluated(tmp_path).keys() == {key(trial) for trial in trials}
    assert sorted(trial.told for trial in trials) == list(range(16))
    assert {trial.stream for trial in trials} == {0, 1}
    assert all(trial.outcome is not None for trial in trials)


def test_second_search_without_join_is_refused(where: str, tmp_path: Path) -> None:
    first = Worker(where, tmp_path / LOG, 1000, join=False, pause_s=0.05)
    with pytest.raises(RunError, match=f"already being searched \\(pid {first.pid}"):
        opened(where)
    first.kill()
    assert opened(where).stream == 0


def test_trials_of_a_killed_member_are_taken_over(where: str, tmp_path: Path) -> None:
    slow = Worker(where, tmp_path / LOG, 12, join=False, pause_s=60.0)
    study = opened(where, join=True)
    while not study.running:
        time.sleep(0.02)
        study.refresh()
    assert not study.orphans
    slow.kill()
    problem = toy_problem()
    found = search(problem, RandomSearch(problem, seed=1), ToyEvaluator(), study, evaluations=5)
    assert found.evaluations == 5
    assert [(trial.stream, trial.attempts) for trial in study.trials] == [(0, 2), *[(1, 1)] * 4]


def test_two_studies_of_one_process_do_not_wait_for_each_other(where: str) -> None:
    study = opened(where)
    trial = study.begin(Request({f"x{i}": 1 for i in range(8)}, 0), "abc", {})
    assert trial is not None and study.is_mine(trial)
    again = opened(where)
    assert [orphan.number for orphan in again.orphans] == [trial.number]


def test_claims_and_outcomes_of_another_member_are_seen(where: str) -> None:
    one, other = opened(where), opened(where, join=True)
    request = Request({f"x{i}": 2 for i in range(8)}, 0)
    mine = one.begin(request, "abc", {"latency_ms": 2.0})
    theirs = other.begin(request, "abc", {"latency_ms": 2.0})
    assert mine is not None and theirs is not None
    assert one.is_mine(mine) and not other.is_mine(theirs)
    assert theirs.number == mine.number
    assert other.begin(Request({f"x{i}": 0 for i in range(8)}, 0), "def", {}, most=1) is None
    assert other.refresh() == []
    closed = one.finish(mine, Outcome(request, {"miou": 0.5, "latency_ms": 2.0}), 0.1)
    assert other.refresh() == [closed]
    assert other.refresh() == []
    assert one.refresh() == []
    late = other.finish(theirs, Outcome(request, {"miou": 0.9, "latency_ms": 2.0}), 0.1)
    assert late == closed, "the first outcome stands"
    assert other.retry(theirs) is None


def test_strategy_is_told_of_the_outcomes_of_others(where: str) -> None:
    one = opened(where)
    request = Request({**{f"x{i}": 0 for i in range(8)}, "x1": 1}, 7)
    trial = one.begin(request, "abc", {"latency_ms": 2.0})
    assert trial is not None
    one.finish(trial, Outcome(request, {"miou": 0.5, "latency_ms": 2.0}), 0.1)
    other = opened(where, join=True)
    problem = toy_problem()
    heard: list[Outcome] = []

    class Listening(RandomSearch):
        def tell(self, outcomes: object) -> None:
            heard.extend(outcomes)  # type: ignore[call-overload]
            super().tell(outcomes)  # type: ignore[arg-type]

    search(problem, Listening(problem, seed=1), ToyEvaluator(), other, evaluations=3)
    assert [outcome.request.id for outcome in heard] == [FOREIGN, 0, 1]
    assert dict(heard[0].request.decisions) == dict(request.decisions)


@SHARED
def test_joined_searches_killed_at_random_moments(where: str, tmp_path: Path) -> None:
    rng = np.random.default_rng()
    evaluations = 30
    workers = [Worker(where, tmp_path / LOG, evaluations, join=join, pause_s=0.01) for join in (False, True)]
    for _ in range(4):
        time.sleep(float(rng.uniform(0.0, 0.3)))
        workers.pop(int(rng.integers(len(workers)))).kill()
        workers.append(Worker(where, tmp_path / LOG, evaluations, join=True, pause_s=0.01))
    assert {worker.evaluations() for worker in workers} == {evaluations}
    trials = opened(where).trials
    assert len(trials) == evaluations
    assert len({key(trial) for trial in trials}) == evaluations
    assert sorted(trial.told for trial in trials) == list(range(evaluations))
    attempts = {key(trial): trial.attempts for trial in trials}
    for decisions, times in evaluated(tmp_path).items():
        assert times <= attempts[decisions], "evaluated twice though it was not cut off"
