"""Real time means deadlines: frames arrive on a clock, as from a camera, and each result is due by one period later.

One worker takes the oldest waiting frame, as an application's loop does. A camera does not wait: when the queue is
full, the oldest waiting frame is dropped, and a dropped frame is a missed deadline.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

QUEUE = 2
"""Frames that wait while one is worked on; camera drivers keep two to four."""


@dataclass(frozen=True)
class DeadlineRun:
    """What a run at a fixed frame rate showed. Times are in milliseconds, from a frame's arrival to its result."""

    fps_wanted: float
    fps: float
    """Results a second, from the first arrival to the last result or the end of the last period."""
    seconds: float
    frames: int
    """Frames that arrived."""
    dropped: int
    late: int
    """Frames whose result came later than one period after their arrival."""
    missed_share: float
    """Dropped and late frames over all."""
    p50_ms: float
    p99_ms: float
    worst_ms: float
    longest_gap_ms: float
    """The longest time between two results."""
    jitter_ms: float
    """Standard deviation of the time between two results."""
    queue_mean: float
    queue_most: int
    """Frames waiting when one was taken, that one not counted."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)


def frames_in(fps: float, seconds: float) -> int:
    """How many frames arrive: one at least."""
    return max(1, round(fps * seconds))


def run_at_fps(
    work: Callable[[int], object],
    fps: float,
    seconds: float,
    *,
    queue: int = QUEUE,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
    say: Callable[[int], object] = lambda done: None,
) -> DeadlineRun:
    """Frames 0, 1, … arrive every 1/``fps`` seconds for ``seconds``; ``work(i)`` makes the result of frame ``i``.

    Arrivals are the clock's, whatever ``work`` takes: which frames wait, and which were dropped, follows from the time.
    ``say`` is told how many frames are behind us.
    """
    if not (fps > 0 and seconds > 0 and math.isfinite(fps * seconds)) or queue < 1:
        raise ValueError("fps, seconds and queue must be positive")
    period, total = 1.0 / fps, frames_in(fps, seconds)
    start = clock()
    following, dropped = 0, 0
    latencies, finished, waiting = [], [], []
    while following < total:
        now = clock() - start
        if now < following * period - 1e-7:  # a sleep may end a rounding error too soon
            sleep(following * period - now)
            continue
        arrived = min(total, int(now / period + 1e-9) + 1)
        overflow = max(0, arrived - following - queue - 1)  # one can be taken at once, ``queue`` more can wait
        dropped += overflow
        following += overflow
        waiting.append(arrived - following - 1)
        work(following)
        done = clock() - start
        latencies.append(done - following * period)
        finished.append(done)
        following += 1
        say(following)
    return _summary(fps, total, dropped, np.array(latencies) * 1e3, np.array(finished) * 1e3, waiting)


def _summary(
    fps: float, total: int, dropped: int, latencies_ms: np.ndarray, finished_ms: np.ndarray, waiting: list[int]
) -> DeadlineRun:
    late = int((latencies_ms > 1e3 / fps).sum())
    gaps_ms = np.diff(finished_ms) if len(finished_ms) > 1 else np.zeros(1)
    p50, p99 = (float(value) for value in np.quantile(latencies_ms, (0.5, 0.99)))
    return DeadlineRun(
        fps_wanted=fps,
        fps=float(len(finished_ms) / max(finished_ms[-1], total * 1e3 / fps) * 1e3),
        seconds=float(finished_ms[-1] / 1e3),
        frames=total,
        dropped=dropped,
        late=late,
        missed_share=(dropped + late) / total,
        p50_ms=p50,
        p99_ms=p99,
        worst_ms=float(latencies_ms.max()),
        longest_gap_ms=float(gaps_ms.max()),
        jitter_ms=float(gaps_ms.std()),
        queue_mean=float(np.mean(waiting)),
        queue_most=max(waiting),
    )
