"""A storage that goes away: tried again with longer and longer waits, nothing lost, nothing done twice."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from joining_worker import opened
from postgres_server import PostgresServer, binaries
from toy_space import ToyEvaluator, toy_problem

from hwnas.errors import RunError
from hwnas.search.patience import FIRST_WAIT_S, LONGEST_WAIT_S, patiently
from hwnas.search.random_search import RandomSearch
from hwnas.search.run import search
from hwnas.search.strategy import Outcome, Request


class Store:
    """Whose errors of errno 5 pass."""

    where = "there"

    def trouble(self, error: BaseException) -> RunError | None:
        assert isinstance(error, OSError)
        return None if error.errno == 5 else RunError(f"cannot: {error.strerror}")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def attempt(failures: int, errno: int, clock: Clock, patience_s: float = 900.0) -> str:
    left = [failures]

    def action() -> str:
        if left[0]:
            left[0] -= 1
            raise OSError(errno, "gone")
        return "done"

    return patiently(action, Store(), patience_s=patience_s, sleep=clock.sleep, clock=clock)


def test_waits_get_longer_up_to_a_bound() -> None:
    clock = Clock()
    assert attempt(9, 5, clock) == "done"
    assert clock.waits[:3] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S]
    assert max(clock.waits) == LONGEST_WAIT_S


def test_what_does_not_pass_is_an_error_at_once() -> None:
    clock = Clock()
    with pytest.raises(RunError, match="cannot: gone"):
        attempt(1, 28, clock)
    assert clock.waits == []


def test_patience_ends() -> None:
    clock = Clock()
    with pytest.raises(RunError, match="there has not answered for 10 minutes") as caught:
        attempt(10_000, 5, clock, patience_s=600.0)
    assert 600 < clock.now < 600 + 2 * LONGEST_WAIT_S
    assert "--resume" in caught.value.hint


def test_a_beat_is_tried_once_and_a_goodbye_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A search that has ended, or a thread of it, tells nobody for minutes that the storage is away."""
    study = opened(str(tmp_path / "study.journal"))

    def gone(*_: object) -> None:
        raise OSError(5, "gone")

    monkeypatch.setattr(study._store.storage, "set_study_user_attr", gone)
    with pytest.raises(RunError, match="has not answered"):
        study.beat()
    monkeypatch.setattr("hwnas.search.study.GOODBYE_S", 0.0)
    study.close()
    assert not caplog.records


class Slow(ToyEvaluator):
    def evaluate(self, request: Request) -> Outcome:
        time.sleep(0.05)
        return super().evaluate(request)


def test_search_outlives_a_database_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install hwnas[postgres]")
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL binaries: install Debian's postgresql, or pip install pgserver")
    monkeypatch.setattr("hwnas.search.patience.FIRST_WAIT_S", 0.1)
    server = PostgresServer(programs)
    try:
        study = opened(server.url)
        evaluator = Slow()

        def away() -> None:
            while len(evaluator.requests) < 4:
                time.sleep(0.01)
            for _ in range(2):
                server.stop()
                time.sleep(0.5)
                server.start()

        outage = threading.Thread(target=away)
        outage.start()
        problem = toy_problem()
        found = search(problem, RandomSearch(problem, seed=0), evaluator, study, evaluations=12)
        outage.join()
        assert found.evaluations == len(evaluator.requests) == 12
        study.close()
        again = opened(server.url)
        trials = again.trials
        again.close()
        assert [trial.told for trial in trials] == list(range(12))
        assert len({trial.fingerprint for trial in trials}) == 12
    finally:
        server.remove()
