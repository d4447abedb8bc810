"""Throughput: how many images a second several sessions of one engine answer together."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hwnas.exporters.artifact import Artifact
from hwnas.exporters.scopes import call_of
from hwnas.progress import Progress, Silent

WARMUP_RUNS = 3
TICK_S = 0.5
"""How often the progress is told."""


@dataclass(frozen=True)
class Throughput:
    """``fps`` is over all streams, counted from the moment at which all have begun to the one at which all have ended.

    ``p50_ms`` is the median latency of one run meanwhile; an engine of a batch answers that many images with it.
    """

    streams: int
    threads: int
    """Of each stream."""
    fps: float
    p50_ms: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)


def throughput(
    artifact: Artifact,
    streams: int,
    *,
    threads: int = 1,
    seconds: float = 5.0,
    scope: str = "engine",
    progress: Progress | None = None,
) -> Throughput:
    """Run ``streams`` sessions at once for ``seconds``, each fed from a Python thread of its own.

    Engines leave Python's lock while they run. An error in one of them is raised here.
    """
    with ExitStack() as stack:
        sessions = [stack.enter_context(artifact.open(threads=threads)) for _ in range(streams)]
        batch = sessions[0].input.batch
        calls = [call_of(session, scope, np.random.default_rng(i)) for i, session in enumerate(sessions)]
        together = threading.Barrier(streams + 1)
        latencies_s: list[list[float]] = [[] for _ in range(streams)]
        errors: list[BaseException] = []

        def work(index: int) -> None:
            try:
                for _ in range(WARMUP_RUNS):
                    calls[index]()
                together.wait()
                end = time.perf_counter() + seconds
                while (begun := time.perf_counter()) < end:
                    calls[index]()
                    latencies_s[index].append(time.perf_counter() - begun)
            except BaseException as error:
                errors.append(error)
                together.abort()

        workers = [threading.Thread(target=work, args=(index,), daemon=True) for index in range(streams)]
        for worker in workers:
            worker.start()
        with suppress(threading.BrokenBarrierError):  # a worker's error is raised below
            together.wait()
        start = time.perf_counter()
        with (progress or Silent()).task(f"{streams} streams", seconds) as task:
            for worker in workers:
                while worker.is_alive():
                    worker.join(TICK_S)
                    task.update(min(seconds, time.perf_counter() - start))
            spent_s = time.perf_counter() - start
    broken = [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]
    if broken:
        raise broken[0]
    every = np.concatenate(latencies_s)
    return Throughput(streams, threads, len(every) * batch / spent_s, float(np.median(every) * 1e3), spent_s)
