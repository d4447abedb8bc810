"""What an engine's own profile says: how long each kernel that it runs takes, and what of the ONNX file it was made of.

One profiler an engine, in a module of its own. Which node of the op graph a kernel belongs to is told by
``attribution``, not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hwnas.errors import ArtifactError
from hwnas.registry import Registry

WARMUP_RUNS = 3
LEAST_RUNS = 10


@dataclass(frozen=True)
class Kernel:
    """One kernel of an engine. ``ms`` is its mean time in a run."""

    name: str
    kind: str
    """The engine's name of the operation: ``Conv``, ``ReorderInput``."""
    ms: float
    made_of: tuple[str, ...]
    """Names of ONNX nodes or tensors that it was made of, the most certain first; empty if the engine does not say."""
    beside: tuple[str, ...] = ()
    """Names of those that it serves, the nearest first: it belongs to one of them if nothing that it is made of is
    known."""
    converts: bool = False
    """Whether it only converts a layout or a precision, which no op of the network asked for."""


@dataclass(frozen=True)
class EngineProfile:
    """The kernels in the order in which they run. Their times and ``run_ms`` are means over the same runs."""

    kernels: tuple[Kernel, ...]
    run_ms: float
    """A whole run while profiling: the kernels and what lies between them."""
    runs: int

    @property
    def kernels_ms(self) -> float:
        """The time of all kernels."""
        return sum(kernel.ms for kernel in self.kernels)


class Profiler(Protocol):
    """Runs an engine's file under the engine's own profiling. Errors are ArtifactErrors naming the file."""

    @property
    def name(self) -> str:
        """The engine's name."""

    def profile(self, path: Path, *, threads: int, seconds: float) -> EngineProfile:
        """Profile runs of one random image for about ``seconds``."""


PROFILERS: Registry[Profiler] = Registry("profiler of an engine", "hwnas.exporters")


@dataclass(frozen=True)
class Run:
    """One run under profiling: its kernels' times in order, and its own."""

    ms: float
    kernel_ms: tuple[float, ...]


def quiet_means(runs: Sequence[Run], path: Path) -> tuple[float, list[float], int]:
    """(mean run, mean of each kernel, number of runs) over the faster half of the runs, in ms.

    Means over the same runs add up, which medians do not; the slower half holds what other processes took. Runs of
    unequal kernels, or none, are an ArtifactError.
    """
    if not runs:
        raise ArtifactError(f"the profile of {path} holds no run", "run it again, for longer")
    if len({len(run.kernel_ms) for run in runs}) != 1:
        raise ArtifactError(f"the profile of {path} is damaged: its runs differ in their kernels", "run it again")
    fast = sorted(runs, key=lambda run: run.ms)[: max(1, (len(runs) + 1) // 2)]
    means = np.array([run.kernel_ms for run in fast]).mean(axis=0)
    return float(np.mean([run.ms for run in fast])), [float(ms) for ms in means], len(fast)


def random_image(shape: Sequence[int]) -> np.ndarray:
    """Standard normal values, always the same."""
    return np.random.default_rng(0).standard_normal(tuple(shape), dtype=np.float32)
