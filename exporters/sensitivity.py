"""What quantizing each part of a network costs in its logits, and gains in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.data.preprocess import normalize_array
from hwnas.exporters.attribution import origins_of_onnx
from hwnas.exporters.explain import explain, profile_engine
from hwnas.exporters.profiler import PROFILERS
from hwnas.exporters.quantized import Ranges, quantize
from hwnas.latency.measure import onnxruntime_options, onnxruntime_session
from hwnas.progress import Progress, Silent

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True)
class Part:
    """Nodes of the op graph that an engine runs as one, and what quantizing them alone does."""

    nodes: tuple[str, ...]
    error: float
    """Root mean square error of the logits, over their standard deviation."""
    gain_ms: float | None = None
    """Time in float less that in eight bits; None where the engine does not say."""


@dataclass(frozen=True)
class NodeTimes:
    """Time of each node's own kernels, and of nodes without one, whose kernel holds them."""

    ms: Mapping[str, float]
    inside: Mapping[str, str]


def node_times(engine: str, path: Path, onnx_path: Path, *, threads: int, seconds: float) -> NodeTimes | None:
    """By the engine's own profile; None if it has none. ``onnx_path`` is what the engine's file was built from."""
    if engine not in PROFILERS:
        return None
    explained = explain(profile_engine(engine, path, threads=threads, seconds=seconds), onnx_path=onnx_path)
    return NodeTimes(
        {node.name: node.ms for node in explained.nodes},
        {node.name: node.inside for node in explained.nodes if node.inside},
    )


def parts_of(model: ModelProto, times: NodeTimes | None) -> list[tuple[str, ...]]:
    """The op graph's nodes in parts that are quantized or left together: those fused into one kernel of the engine."""
    inside = times.inside if times else {}
    parts: dict[str, list[str]] = {}
    for name in origins_of_onnx(model).kinds:
        parts.setdefault(inside.get(name, name), []).append(name)
    return [tuple(names) for names in parts.values()]


def onnx_names(model: ModelProto, nodes: Sequence[str]) -> set[str]:
    """Names of the ONNX nodes of ``model`` that come from ``nodes`` of the op graph."""
    wanted, of = set(nodes), origins_of_onnx(model).of
    return {node.name for node in model.graph.node if of.get(node.name) in wanted}


def measure_parts(
    model: ModelProto,
    ranges: Ranges,
    images: np.ndarray,
    *,
    float_times: NodeTimes | None,
    int8_times: NodeTimes | None,
    symmetric: bool = False,
    progress: Progress | None = None,
) -> list[Part]:
    """Quantize one part after the other and compare logits on uint8 ``images`` (N, H, W, 3), in ONNX Runtime.

    Gains are known where both times are: what a node takes in the float and in the eight-bit network.
    """
    every = {node.name for node in model.graph.node}
    exact = _logits(model, images)
    parts = parts_of(model, float_times)
    found = []
    with (progress or Silent()).task("what each part costs in int8", len(parts)) as task:
        for number, nodes in enumerate(parts):
            alone = quantize(model, ranges, symmetric=symmetric, keep_float=every - onnx_names(model, nodes))
            error = float(np.sqrt(np.mean((_logits(alone, images) - exact) ** 2)) / max(float(exact.std()), 1e-12))
            found.append(Part(nodes, error, _gain(nodes, float_times, int8_times)))
            task.update(number + 1)
    return found


def _gain(nodes: Sequence[str], before: NodeTimes | None, after: NodeTimes | None) -> float | None:
    if before is None or after is None:
        return None
    return sum(before.ms.get(name, 0.0) for name in nodes) - sum(after.ms.get(name, 0.0) for name in nodes)


def _logits(model: ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime_session(model.SerializeToString(), onnxruntime_options(1))
    name = session.get_inputs()[0].name
    return np.concatenate(
        [session.run(None, {name: normalize_array(np.asarray(images[i : i + 1]))})[0] for i in range(len(images))]
    )
