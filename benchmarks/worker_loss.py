"""Let one of Ray's workers be killed in every 20th evaluation of a search of 200, and count what was lost.

    python benchmarks/worker_loss.py

Each evaluation first notes its candidate in a file; in every 20th the worker is killed (SIGKILL). Printed at the end,
of the study opened anew: how many outcomes are recorded, how many candidates are recorded twice, how many workers were
killed, and how many evaluations were begun beyond one for each candidate, which should be as many.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hwnas.search.evolution import Evolution
from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.ray_executor import ray_workers
from hwnas.search.run import search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import open_study
from hwnas.spaces.base import SPACES


@dataclass(frozen=True)
class Mortal:
    """An evaluator that notes the candidate when it begins, takes a while, and takes its process along now and then."""

    notes: Path
    seconds: float
    every: int

    def __call__(self) -> Mortal:
        return self

    def evaluate(self, request: Request) -> Outcome:
        with self.notes.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(f"{request.id}\n")
            stream.flush()
            number = len(self.notes.read_text().splitlines())
        time.sleep(self.seconds)
        if number % self.every == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(request, {"miou": len(str(request.decisions)) % 97 / 97})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.05, help="of an evaluation")
    given = parser.parse_args()
    problem = Problem(SPACES.get("realtime"), Objective("miou"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notes, journal = folder / "notes", folder / "study.journal"
        study = open_study(journal, problem, identity={}, seed=0)
        strategy = Evolution(problem, seed=0)
        with ray_workers(Mortal(notes, given.seconds, given.every), given.workers) as workers:
            search(problem, strategy, workers, study, evaluations=given.evaluations)
        study.close()
        trials = open_study(journal, problem, identity={}, seed=0).trials
        begun = Counter(notes.read_text().splitlines())
    recorded = [trial for trial in trials if trial.outcome is not None]
    statuses = Counter(trial.outcome.status for trial in recorded if trial.outcome)
    twice = len(recorded) - len({trial.fingerprint for trial in recorded})
    again, killed = sum(times - 1 for times in begun.values()), begun.total() // given.every
    print(f"workers killed: {killed}")
    print(f"outcomes recorded: {len(recorded)} of {given.evaluations} ({dict(statuses)}); twice: {twice}")
    print(f"evaluations cut off and begun again: {again}")
    return 0 if len(recorded) == given.evaluations and not twice and again == killed else 1


if __name__ == "__main__":
    raise SystemExit(main())
