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
from hwnas.exporters.engine import Port
from hwnas.registry import Registry

WARMUP_RUNS = 3
LEAST_RUNS = 10


@dataclass(frozen=True)
class Kernel:
    """One kernel of an engine. ``ms`` is its time in a run, see :func:`quiet_means`."""

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
    """The kernels in the order in which they run."""

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


def quiet_means(runs: Sequence[Run], path: Path) -> tuple[float, list[float]]:
    """(a run, each kernel) in ms: of each kernel, and of what lies between them, the mean of the faster half of runs.

    Another process interrupts a run in one kernel or two, seldom the same ones, so each kernel has its own faster half.
    The run is the sum of them all. Runs of unequal kernels, or none, are an ArtifactError.
    """
    if not runs:
        raise ArtifactError(f"the profile of {path} holds no run", "run it again, for longer")
    if len({len(run.kernel_ms) for run in runs}) != 1:
        raise ArtifactError(f"the profile of {path} is damaged: its runs differ in their kernels", "run it again")
    parts = np.sort([[*run.kernel_ms, run.ms - sum(run.kernel_ms)] for run in runs], axis=0)
    means = [float(mean) for mean in parts[: (len(runs) + 1) // 2].mean(axis=0)]
    return sum(means), means[:-1]


def random_image(port: Port) -> np.ndarray:
    """What an input takes, always the same: standard normal values, or pixels."""
    shape, rng = (port.batch, *port.shape[1:]), np.random.default_rng(0)
    if port.takes_pixels:
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.standard_normal(shape, dtype=np.float32)
