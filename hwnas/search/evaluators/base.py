"""What evaluators share: how one is identified for the cache, and failures that are outcomes.

An evaluator finds out how good a candidate is (:class:`hwnas.search.strategy.Evaluator`). Scores are read on the
held-out blocks of ``train`` and nowhere else. A candidate that diverges, runs out of memory or takes too long is an
outcome with the status ``failed`` and a note; a mistake of the user's (a data set that is gone) stays an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hwnas.errors import GenotypeError, HwnasError, out_of_memory
from hwnas.progress import Progress, Task
from hwnas.search.strategy import Outcome, Request

if TYPE_CHECKING:
    from pathlib import Path

    from hwnas.compiler.network import Network

CALIBRATION = 32
"""Images that further metrics may calibrate by: a candidate's eight bits need fewer than an engine's."""

DIVERGED = "diverged"
OUT_OF_MEMORY = "out of memory"
OVER_TIME = "over the time limit"


@dataclass(frozen=True)
class Shown:
    """What a further metric may look at, uint8: images (N, H, W, 3) of those that are trained on, to calibrate by, and
    the held-out ones with their masks (N, H, W), 255 ignored."""

    calibration: np.ndarray
    images: np.ndarray
    masks: np.ndarray
    classes: int


@dataclass(frozen=True)
class Measure:
    """A metric beside the mIoU, of a network with a candidate's weights; ``what`` says how, and keys results."""

    what: str
    of: Callable[[Network, Shown], float]


Measures = Mapping[str, Measure]
"""By the name that objectives know them by."""


def facts_of(measures: Measures) -> dict[str, Any]:
    """What an evaluator's identity says of further metrics; nothing where there are none."""
    return {"measures": {name: each.what for name, each in sorted(measures.items())}} if measures else {}


class IdentifiedEvaluator(Protocol):
    """An evaluator whose results can be kept: it says what they depend on."""

    def evaluate(self, request: Request) -> Outcome: ...

    def identity(self, request: Request) -> Mapping[str, Any]:
        """Everything that decides the outcome of ``request``, as JSON: the candidate's fingerprint, the recipe, the
        data, the seed, the fidelity, …"""


class TimeIsUp(HwnasError):
    """A candidate has used up its time limit."""


class Deadline:
    """A Progress that stops the work it watches: its updates raise :class:`TimeIsUp` once ``seconds`` have passed."""

    def __init__(self, inner: Progress, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner, self._seconds, self._clock = inner, seconds, clock
        self._end = clock() + seconds

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        with self._inner.task(label, total) as task:
            yield _Watched(task, self)

    def say(self, line: str) -> None:
        self._inner.say(line)

    def check(self) -> None:
        """Raise where the time is up."""
        if self._clock() > self._end:
            raise TimeIsUp(f"{OVER_TIME} of {self._seconds:g} s")


class _Watched:
    def __init__(self, task: Task, deadline: Deadline) -> None:
        self._task, self._deadline = task, deadline

    def update(self, done: float, note: str = "") -> None:
        self._task.update(done, note)
        self._deadline.check()


def outcome_of(request: Request, work: Callable[[], Outcome]) -> Outcome:
    """What ``work`` gives; its divergence, lack of memory, lack of time or misfit is a failed outcome."""
    from hwnas.training.loop import DivergedError

    try:
        return work()
    except DivergedError as error:
        return Outcome(request, status="failed", note=f"{DIVERGED}: {error.message}")
    except TimeIsUp as error:
        return Outcome(request, status="failed", note=error.message)
    except GenotypeError as error:
        return Outcome(request, status="failed", note=f"does not fit: {error.message}")
    except (MemoryError, RuntimeError, HwnasError) as error:
        if not out_of_memory(error):
            raise
        return Outcome(request, status="failed", note=OUT_OF_MEMORY)


def lasting(outcome: Outcome) -> bool:
    """Whether the same evaluation would end the same way: memory and time may suffice another day."""
    return outcome.status == "ok" or outcome.note.startswith(DIVERGED)


def checkpoint_name(request: Request) -> str | None:
    """What the checkpoint that ``request`` goes on from is called: its name is its content's key, wherever it lies."""
    from pathlib import PurePath

    return PurePath(request.continue_from).stem if request.continue_from else None


def existing(checkpoint: str | None) -> Path | None:
    """The file of a checkpoint, if it is still there."""
    from pathlib import Path

    path = Path(checkpoint) if checkpoint else None
    return path if path is not None and path.is_file() else None
