"""Run by test_kill.py in a process of its own: a search whose evaluator writes down what it evaluates."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "contracts"))

from toy_space import miou, toy_problem

from hwnas.rundir import RunDir
from hwnas.search.evolution import Evolution
from hwnas.search.run import search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import open_study


class Logging:
    def __init__(self, path: Path) -> None:
        self.path = path

    def evaluate(self, request: Request) -> Outcome:
        time.sleep(0.004)
        log = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(log, (json.dumps({"id": request.id, "decisions": dict(request.decisions)}) + "\n").encode())
        os.fsync(log)
        os.close(log)
        return Outcome(request, {"miou": miou(request.decisions)})


def main(folder: Path, evaluations: int) -> None:
    with RunDir.open(folder / "run", {"task": "kill"}, resume=(folder / "run").exists()) as run:
        problem = toy_problem()
        study = open_study(run / "study.journal", problem, identity={}, seed=0)
        strategy = Evolution(problem, seed=0, population=8, tournament=3)
        print("started", flush=True)
        result = search(problem, strategy, Logging(folder / "evaluated.jsonl"), study, evaluations=evaluations)
    print(json.dumps([trial.request.id for trial in result.trials]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
