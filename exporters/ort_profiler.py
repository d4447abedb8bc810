"""ONNX Runtime's profile: a JSON list of events, and the graph that its optimiser made of the ONNX file.

The optimiser fuses, renames and inserts kernels. A fused one is named after the tensor that it makes: ``relu_3_nchwc``;
reorders are numbered, so what they belong to is read from the tensors of the optimised graph.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import ArtifactError
from hwnas.exporters.ort import OPTIMISED, open_session, port_of
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

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

TO_READER = frozenset({"ReorderInput", "QuantizeLinear", "Cast", "Reshape", "Transpose"})
"""Inserted for the kernel that reads them; a reorder of an output is for the one that wrote it."""
TO_WRITER = frozenset({"ReorderOutput", "DequantizeLinear"})
SUFFIXES = ("_nchwc", "_quant", "_quantized", "_QuantizeLinear", "_DequantizeLinear")
"""What the optimiser and the quantizer append to names."""
KERNEL = "_kernel_time"
PRECISION = frozenset({"QuantizeLinear", "DequantizeLinear"})
MAX_RUNS = 300
"""Every kernel of every run is an event of 0.7 kB; ONNX Runtime stops at a million of them."""


class OnnxRuntimeProfiler:
    """``enable_profiling``, with the options that artifacts are timed with."""

    name = "onnxruntime"

    def profile(self, path: Path, *, threads: int = 1, seconds: float = 2.0) -> EngineProfile:
        """Profile an ONNX file; the runtime's notes go to a folder that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="hwnas-profile-") as folder:
            session = open_session(path, threads, profile_into=Path(folder))
            end = session.get_inputs()[0]
            image = random_image(port_of(end))
            started, done = time.perf_counter(), 0
            while done < WARMUP_RUNS + LEAST_RUNS or (done < MAX_RUNS and time.perf_counter() - started < seconds):
                session.run(None, {end.name: image})
                done += 1
            runs, kinds = parse_profile(Path(session.end_profiling()).read_text(), path)
            return _summary(runs[WARMUP_RUNS:], kinds, Path(folder) / OPTIMISED, path)


def parse_profile(text: str, path: Path) -> tuple[list[Run], list[tuple[str, str]]]:
    """Runs, and (name, operation) of each kernel in order, of the JSON that ONNX Runtime writes.

    A run ends with its ``model_run`` event; what follows the last one is dropped. Text that is torn or no profile is an
    ArtifactError naming ``path``, the file that was profiled.
    """
    try:
        events = json.loads(text)
        runs: list[Run] = []
        kinds: list[tuple[str, str]] = []
        current: list[tuple[str, str, float]] = []
        for event in events:
            if event.get("cat") == "Node" and str(event["name"]).endswith(KERNEL):
                name = str(event["name"]).removesuffix(KERNEL)
                current.append((name, str(event["args"]["op_name"]), float(event["dur"]) / 1e3))
            elif event.get("cat") == "Session" and event.get("name") == "model_run":
                runs.append(Run(float(event["dur"]) / 1e3, tuple(ms for _, _, ms in current)))
                kinds = [(name, kind) for name, kind, _ in current]
                current = []
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(
            f"the profile that ONNX Runtime wrote of {path} is damaged ({error})", "run it again; is the disk full?"
        ) from error
    if not runs:
        raise ArtifactError(f"the profile that ONNX Runtime wrote of {path} holds no run", "run it again, for longer")
    return runs, kinds


@dataclass(frozen=True)
class Lineage:
    """Names in the original ONNX file that a kernel was made of, and of those that an inserted one serves."""

    made_of: tuple[str, ...]
    beside: tuple[str, ...] = ()


def lineage_of(optimised: ModelProto) -> dict[str, Lineage]:
    """Kernel name → where it comes from, in the graph that the optimiser made."""
    nodes = {node.name: node for node in optimised.graph.node}
    writer = {tensor: node for node in nodes.values() for tensor in node.output}
    readers: dict[str, list[NodeProto]] = {}
    weights = {weight.name for weight in optimised.graph.initializer}
    for node in nodes.values():
        for tensor in node.input:
            readers.setdefault(tensor, []).append(node)
    lineage = {}
    for name, node in nodes.items():
        served: list[NodeProto] = []
        if node.op_type in TO_READER:
            served = [other for tensor in node.output for other in readers.get(tensor, ())]
        if node.op_type in TO_WRITER:
            served = [writer[tensor] for tensor in node.input if tensor in writer]
        beside = tuple(known for other in served for known in _own_names(other, weights))
        lineage[name] = Lineage(_own_names(node, weights), beside)
    return lineage


def _own_names(node: NodeProto, weights: Iterable[str]) -> tuple[str, ...]:
    """A node's weights, its name and the tensors it makes, with what the optimiser appended and without.

    Weights go first: what is fused to a convolution, such as an addition or a ReLU of another node, gives it its name.
    """
    found = [*(tensor for tensor in node.input if tensor in weights), node.name, *node.output]
    return tuple(dict.fromkeys(variant for name in found if name for variant in (name, *_stems(name))))


def _stems(name: str) -> list[str]:
    return [name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)]


def _summary(runs: Sequence[Run], kinds: Sequence[tuple[str, str]], optimised: Path, path: Path) -> EngineProfile:
    from onnx import load

    lineage = lineage_of(load(optimised)) if optimised.is_file() else {}
    asked_for = {node.name for node in load(path).graph.node if node.op_type not in PRECISION}
    run_ms, means = quiet_means(runs, path)
    origins = {name: lineage.get(name, Lineage((name, *_stems(name)))) for name, _ in kinds}
    kernels = tuple(
        Kernel(
            name,
            kind,
            ms,
            made_of=origins[name].made_of,
            beside=origins[name].beside,
            converts=kind in TO_READER | TO_WRITER and name not in asked_for,
        )
        for (name, kind), ms in zip(kinds, means, strict=True)
    )
    return EngineProfile(kernels, run_ms, len(runs))


PROFILERS.register("onnxruntime", OnnxRuntimeProfiler())
