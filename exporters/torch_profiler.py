"""PyTorch's profile: clocks around every node's module. Its kernels are the nodes themselves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.exporters.profiler import (
    LEAST_RUNS,
    PROFILERS,
    WARMUP_RUNS,
    EngineProfile,
    Kernel,
    Run,
    quiet_means,
    random_image,
)
from hwnas.exporters.torch_eager import TorchSession, open_network

if TYPE_CHECKING:
    from hwnas.compiler.network import Network


class TorchEagerProfiler:
    """Hooks before and after each child of the network."""

    name = "torch-eager"

    def profile(self, path: Path, *, threads: int = 1, seconds: float = 2.0) -> EngineProfile:
        """Profile the network in a run's folder."""
        import torch

        with open_network(path, threads) as network, torch.inference_mode():
            image = torch.from_numpy(random_image(TorchSession(network).input))
            clock = _Clock(network)
            runs: list[Run] = []
            started, done = time.perf_counter(), 0
            while done < WARMUP_RUNS + LEAST_RUNS or time.perf_counter() - started < seconds:
                clock.spent_ms.clear()
                before = time.perf_counter()
                network(image)
                run_ms = 1e3 * (time.perf_counter() - before)
                done += 1
                if done > WARMUP_RUNS:
                    runs.append(Run(run_ms, tuple(clock.spent_ms)))
            run_ms, means = quiet_means(runs, path)
            nodes = network.graph.nodes
        kernels = tuple(Kernel(node.name, node.op, ms, (node.name,)) for node, ms in zip(nodes, means, strict=True))
        return EngineProfile(kernels, run_ms, len(runs))


class _Clock:
    """Milliseconds of each child's last run, in the order in which they ran."""

    def __init__(self, network: Network) -> None:
        self.spent_ms: list[float] = []
        self._started = 0.0
        for child in network.children():
            child.register_forward_pre_hook(self._start)
            child.register_forward_hook(self._stop)

    def _start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def _stop(self, *_: Any) -> None:
        self.spent_ms.append(1e3 * (time.perf_counter() - self._started))


PROFILERS.register("torch-eager", TorchEagerProfiler())
