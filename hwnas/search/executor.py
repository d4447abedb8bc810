"""Where candidates are evaluated: here, or by workers elsewhere. The search loop knows only this much of it.

:class:`InProcess` is what a search has without workers: one candidate at a time, in this process. Ray's actors are in
ray_executor.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hwnas.search.strategy import Evaluator, Outcome
from hwnas.search.study import Trial


@dataclass(frozen=True)
class Done:
    """An evaluation that ended, after ``duration_s`` seconds of it.

    ``outcome`` is None where the worker was lost rather than the candidate judged; ``lost`` then says how.
    """

    trial: Trial
    outcome: Outcome | None
    duration_s: float
    lost: str = ""


@runtime_checkable
class Executor(Protocol):
    """Evaluates trials, ``slots`` of them at once."""

    @property
    def slots(self) -> int: ...

    def submit(self, trial: Trial) -> None:
        """Begin a trial; never more than ``slots`` of them are begun and not completed."""

    def completed(self) -> list[Done]:
        """Those that ended since the last call, in the order in which they did; waits for one if there is none."""


class InProcess:
    """One evaluation at a time, in this process, when its result is asked for."""

    slots = 1

    def __init__(self, evaluator: Evaluator, clock: Callable[[], float] = time.monotonic) -> None:
        self._evaluator = evaluator
        self._clock = clock
        self._waiting: list[Trial] = []

    def submit(self, trial: Trial) -> None:
        self._waiting.append(trial)

    def completed(self) -> list[Done]:
        trial = self._waiting.pop(0)
        start = self._clock()
        outcome = evaluated(self._evaluator, trial)
        return [Done(trial, outcome, self._clock() - start)]


def evaluated(evaluator: Evaluator, trial: Trial) -> Outcome:
    """The outcome of a trial: an exception is one, too (``failed``)."""
    try:
        return evaluator.evaluate(trial.request)
    except Exception as error:  # whatever a candidate does is an outcome of it
        return Outcome(trial.request, status="failed", note=f"{type(error).__name__}: {error}")
