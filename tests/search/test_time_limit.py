"""A candidate that takes too long, or more memory than there is, is a recorded outcome."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from toy_space import miou, toy_problem

from hwnas.search.executor import InProcess
from hwnas.search.random_search import RandomSearch
from hwnas.search.run import search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import open_study
from hwnas.search.time_limit import OutOfTime, time_limit


class Uneven:
    """Every third never ends."""

    def evaluate(self, request: Request) -> Outcome:
        while request.id % 3 == 1:
            time.sleep(0.01)
        return Outcome(request, {"miou": miou(request.decisions)})


def test_candidates_out_of_time_are_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    problem = toy_problem()
    study = open_study(tmp_path / "study.journal", problem, identity={}, seed=0)
    executor = InProcess(Uneven(), limit_s=0.2)
    found = search(problem, RandomSearch(problem, seed=0), executor, study, evaluations=6)
    outcomes = [trial.outcome for trial in found.trials if trial.outcome is not None]
    assert [outcome.status for outcome in outcomes] == ["ok", "failed", "ok"] * 2
    assert outcomes[1].note == "out of time: it took more than 0.2 s"
    assert 0.2 <= found.trials[1].duration_s < 5


def test_time_limit_leaves_no_alarm_behind() -> None:
    with time_limit(0.05):
        pass
    time.sleep(0.1)
    with pytest.raises(OutOfTime), time_limit(0.02):
        time.sleep(5)
    time.sleep(0.05)


def test_no_limit_and_other_threads_run_to_their_end() -> None:
    with time_limit(None):
        pass
    ended: list[bool] = []

    def work() -> None:
        with time_limit(0.01):
            time.sleep(0.05)
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]
