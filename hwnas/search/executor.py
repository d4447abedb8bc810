"""Where candidates are evaluated: here, or by workers elsewhere. The search loop knows only this much of it.

:class:`InProcess` is what a search has without workers: one candidate at a time, in this process. Ray's actors are in
ray_executor.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hwnas.errors import out_of_memory
from hwnas.search.strategy import Evaluator, Outcome, Request
from hwnas.search.time_limit import OutOfTime, time_limit
from hwnas.search.trial import Trial


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
    """One evaluation at a time, in this process, when its result is asked for; none for longer than ``limit_s``."""

    slots = 1

    def __init__(
        self, evaluator: Evaluator, clock: Callable[[], float] = time.monotonic, limit_s: float | None = None
    ) -> None:
        self._evaluator = evaluator
        self._clock = clock
        self._limit_s = limit_s
        self._waiting: list[Trial] = []

    def submit(self, trial: Trial) -> None:
        self._waiting.append(trial)

    def completed(self) -> list[Done]:
        trial = self._waiting.pop(0)
        start = self._clock()
        outcome = evaluated(self._evaluator, trial.request, self._limit_s)
        return [Done(trial, outcome, self._clock() - start)]


def evaluated(evaluator: Evaluator, request: Request, limit_s: float | None = None) -> Outcome:
    """The outcome of a request: an exception is one, too (``failed``), and so is a time limit that has passed."""
    start = time.monotonic()
    try:
        with time_limit(limit_s):
            outcome = evaluator.evaluate(request)
    except OutOfTime:
        assert limit_s is not None
        return out_of_time(request, limit_s)
    except Exception as error:  # whatever a candidate does is an outcome of it
        kind = "out of memory" if out_of_memory(error) else type(error).__name__
        return Outcome(request, status="failed", note=f"{kind}: {error}")
    if limit_s is not None and time.monotonic() - start > limit_s:
        return out_of_time(request, limit_s)
    return outcome


def out_of_time(request: Request, limit_s: float) -> Outcome:
    """The outcome of a request whose evaluation took longer than it may."""
    return Outcome(request, status="failed", note=f"out of time: it took more than {limit_s:g} s")
