"""OpenVINO's profile: performance counters of each kernel; the compiled graph says what layers each was fused from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.exporters.openvino_engine import compile_file, port_of
from hwnas.exporters.profiler import (
    PROFILERS,
    WARMUP_RUNS,
    EngineProfile,
    Kernel,
    Run,
    quiet_means,
    random_image,
)

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest, Node

LAYERS, KIND = "originalLayersNames", "layerType"
"""Keys of a compiled node's notes."""
CONVERSIONS = frozenset({"Reorder", "Convert"})
ENDS = frozenset({"Output", "Result"})
FURTHEST = 3
"""Steps to a kernel that is served."""
ROUND_RUNS = 8
LEAST_ROUNDS = 4
SUFFIXES = ("/WithoutBiases", "/sink_port_0")
"""What the ONNX frontend appends to names."""


class OpenVinoProfiler:
    """``PERF_COUNT``, with the configuration that artifacts are timed with."""

    name = "openvino"

    def profile(self, path: Path, *, threads: int = 1, seconds: float = 2.0) -> EngineProfile:
        """Profile IR or an ONNX file, in rounds: counters are averages since the file was compiled, so each round
        compiles it anew and counts from after its warm-up."""
        started = time.perf_counter()
        rounds: list[tuple[float, dict[int, float]]] = []
        seen: dict[int, Any] = {}
        while len(rounds) < LEAST_ROUNDS or time.perf_counter() - started < seconds:
            compiled = compile_file(path, threads, profiling=True)
            counters, run_ms, kernel_ms = _round(compiled)
            seen |= counters
            rounds.append((run_ms, kernel_ms))
        # a kernel of less than a microsecond is counted as executed in some rounds and not in others
        places = sorted(seen)
        runs = [Run(ms, tuple(kernel_ms.get(place, 0.0) for place in places)) for ms, kernel_ms in rounds]
        run_ms, means = quiet_means(runs, path)
        lineage = lineage_of(compiled)
        unknown: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        kernels = tuple(
            Kernel(
                item.node_name,
                item.exec_type,
                ms,
                made_of=(*lineage.get(item.node_name, unknown)[0], *_variants([item.node_name])),
                beside=lineage.get(item.node_name, unknown)[1],
                converts=item.node_type in CONVERSIONS,
            )
            for item, ms in zip((seen[place] for place in places), means, strict=True)
        )
        return EngineProfile(kernels, run_ms, len(rounds) * ROUND_RUNS)


def _round(compiled: CompiledModel) -> tuple[dict[int, Any], float, dict[int, float]]:
    """The kernels that ran, by their place, since some are named anew each time; ms of a run, and of each kernel, in
    the mean over the runs after the warm-up."""
    request = compiled.create_infer_request()
    image = random_image(port_of(compiled.input(0)))
    for _ in range(WARMUP_RUNS):
        request.infer([image], share_inputs=True)
    before = _executed(request)
    start = time.perf_counter()
    for _ in range(ROUND_RUNS):
        request.infer([image], share_inputs=True)
    run_ms = 1e3 * (time.perf_counter() - start) / ROUND_RUNS
    after = _executed(request)
    return after, run_ms, {place: _since(before.get(place), item) for place, item in after.items()}


def _executed(request: InferRequest) -> dict[int, Any]:
    return {place: item for place, item in enumerate(request.get_profiling_info()) if item.status.name == "EXECUTED"}


def _since(before: Any | None, after: Any) -> float:
    """A kernel's mean in ms over the runs between two averages; those are cut to whole microseconds. Before its first
    whole microsecond, a kernel has no average."""
    first, last = (0.0 if item is None else 1e6 * item.real_time.total_seconds() + 0.5 for item in (before, after))
    return float(max(last * (WARMUP_RUNS + ROUND_RUNS) - first * WARMUP_RUNS, 0.0)) / ROUND_RUNS / 1e3


def lineage_of(compiled: CompiledModel) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Kernel name → (names in the ONNX file that it was made of, names of those that it serves).

    A reorder serves the kernel that reads it, or at the network's end the one that wrote it. Of an ONNX node that
    becomes several, only the last has its name: the others serve it.
    """
    lineage = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        served: list[str] = []
        nearest = [node]
        for _ in range(FURTHEST):
            nearest = [other for one in nearest for other in _readers(one)]
            served += [name for other in nearest for name in _layers(other)]
        if any(_note(reader, KIND) in ENDS for reader in _readers(node)):
            served = [name for value in node.inputs() for name in _layers(value.get_source_output().get_node())]
        lineage[node.get_friendly_name()] = (_variants(_layers(node)), _variants(served))
    return lineage


def _readers(node: Node) -> list[Node]:
    return [reader.get_node() for output in node.outputs() for reader in output.get_target_inputs()]


def _layers(node: Node) -> list[str]:
    return [name for name in _note(node, LAYERS).split(",") if name]


def _note(node: Node, key: str) -> str:
    notes = node.get_rt_info()
    return str(notes[key].astype(str)) if key in notes else ""


def _variants(names: Sequence[str]) -> tuple[str, ...]:
    stems = [name.removesuffix(suffix) for name in names for suffix in SUFFIXES if name.endswith(suffix)]
    return tuple(dict.fromkeys([*names, *stems]))


PROFILERS.register("openvino", OpenVinoProfiler())
