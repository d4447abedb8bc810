"""Times ONNX kernels and nets on the device. One file: needs Python, numpy and onnxruntime, nothing of hwnas.

    python measure.py bundle.zip -o measured.jsonl --threads 1

Every finished block of runs is one JSON line, appended and synced, so that a killed measurement goes on where it was.
The blocks of all kernels are interleaved in passes, each pass with a fresh session, and a reference kernel is timed
beside each, so that the drift of a shared machine is seen and can be divided out. Beside wall time goes the process's
CPU time, which at one thread does not count what other processes took.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Samples:
    """Times of one block; each sample is the mean over ``inner`` runs, in milliseconds per run."""

    wall_ms: np.ndarray[Any, np.dtype[np.float64]]
    cpu_ms: np.ndarray[Any, np.dtype[np.float64]]
    disturbed: np.ndarray[Any, np.dtype[np.bool_]]
    """Whether the process was interrupted (involuntary context switch) during the sample."""
    inner: int
    warmup_runs: int

    @property
    def runs(self) -> int:
        """How often the callable ran inside the timed region."""
        return self.inner * len(self.wall_ms)


def time_callable(
    run: Callable[[], object],
    *,
    warmup_s: float = 0.02,
    min_runs: int = 10,
    max_seconds: float = 1.0,
    sample_ms: float = 0.2,
    target_error: float = 0.0,
) -> Samples:
    """Warm up until stable, then sample until ``max_seconds`` are over, but at least ``min_runs`` samples.

    Runs shorter than ``sample_ms`` are grouped, so that reading the clocks costs little. With a positive
    ``target_error`` sampling stops early, once the interquartile range over √n, relative to the median, is below it.
    """
    once_ms, warmup_runs = _warm_up(run, warmup_s)
    inner = max(1, int(np.ceil(sample_ms / max(once_ms, 1e-6))))
    wall: list[float] = []
    cpu: list[float] = []
    disturbed: list[bool] = []
    end = time.perf_counter() + max_seconds
    while len(wall) < min_runs or time.perf_counter() < end:
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        cpu_start, start = time.process_time_ns(), time.perf_counter_ns()
        for _ in range(inner):
            run()
        stop, cpu_stop = time.perf_counter_ns(), time.process_time_ns()
        wall.append((stop - start) / inner / 1e6)
        cpu.append((cpu_stop - cpu_start) / inner / 1e6)
        disturbed.append(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw > switches)
        if target_error > 0 and len(wall) >= min_runs and len(wall) % 5 == 0 and _error(cpu) < target_error:
            break
    return Samples(np.array(wall), np.array(cpu), np.array(disturbed), inner, warmup_runs)


def _warm_up(run: Callable[[], object], warmup_s: float) -> tuple[float, int]:
    """Run until ``warmup_s`` are over and three runs in a row are within 20% of the fastest; (ms of one run, runs)."""
    start = time.perf_counter()
    times: list[float] = []
    while True:
        before = time.perf_counter()
        run()
        now = time.perf_counter()
        times.append(now - before)
        spent = now - start
        stable = len(times) >= 3 and max(times[-3:]) <= 1.2 * min(times)
        if (spent >= warmup_s and stable) or (spent >= 5 * warmup_s and len(times) >= 3):
            return min(times) * 1e3, len(times)


def _error(values: list[float]) -> float:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float((high - low) / np.sqrt(len(values)) / middle) if middle > 0 else np.inf


def device_fingerprint() -> dict[str, Any]:
    """What the machine is: ``device`` (its name), ``cores``, ``pinned`` (cores it is confined to), ``governor``."""
    cores = os.cpu_count() or 1
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(cores))
    pinned = allowed if len(allowed) < cores else []
    return {"device": _cpu_name(), "cores": cores, "pinned": pinned, "governor": _governor()}


def _cpu_name() -> str:
    """The CPU's name; several generations share one, so family and model numbers go with it."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
            if not line.strip():
                break
    except OSError:
        pass
    name = fields.get("model name") or fields.get("Model") or platform.processor() or platform.machine()
    numbers = "/".join(fields[key] for key in ("cpu family", "model", "stepping") if key in fields)
    return f"{name} ({numbers})" if numbers else name


def _governor() -> str:
    try:
        path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"
