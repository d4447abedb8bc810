"""One of several searches on a study, in a process of its own; its evaluator notes what it evaluates."""

from __future__ import annotations

import json
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from fresh_processes import FRESH
from toy_space import miou, toy_problem

from hwnas.search.evolution import Evolution
from hwnas.search.run import search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import Study, open_study


def opened(where: str, *, join: bool = False) -> Study:
    """The toy study at ``where``."""
    return open_study(where if "://" in where else Path(where), toy_problem(), identity={}, seed=0, join=join)


class Logging:
    """Takes a moment, and appends what it evaluated to a file that all processes share."""

    def __init__(self, path: Path, pause_s: float) -> None:
        self.path = path
        self.pause_s = pause_s

    def evaluate(self, request: Request) -> Outcome:
        time.sleep(self.pause_s)
        log = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        entry = {"pid": os.getpid(), "decisions": dict(request.decisions)}
        os.write(log, (json.dumps(entry, sort_keys=True) + "\n").encode())
        os.close(log)
        return Outcome(request, {"miou": miou(request.decisions)})


class Worker:
    """A search whose study is open once this is made, and which is under way then unless it is ``held``."""

    def __init__(
        self, where: str, log: Path, evaluations: int, *, join: bool, pause_s: float, held: bool = False
    ) -> None:
        self._here, there = FRESH.Pipe()
        self.process = FRESH.Process(target=_work, args=(there, where, log, evaluations, join, pause_s), daemon=True)
        self.process.start()
        there.close()
        assert self._here.recv() == "open"
        if not held:
            self.go()

    def go(self) -> None:
        self._here.send("go")

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def kill(self) -> None:
        """With SIGKILL."""
        self.process.kill()
        self.process.join()

    def evaluations(self) -> int:
        """Waits for the end of the search; the number of trials that it ended with."""
        assert self._here.poll(100), "the search did not end"
        found: int = self._here.recv()
        self.process.join()
        return found


def _work(answer: Connection, where: str, log: Path, evaluations: int, join: bool, pause_s: float) -> None:
    study = opened(where, join=join)
    problem = toy_problem()
    strategy = Evolution(problem, seed=study.stream, population=8, tournament=3)
    answer.send("open")
    answer.recv()
    result = search(problem, strategy, Logging(log, pause_s), study, evaluations=evaluations)
    study.close()
    answer.send(result.evaluations)
