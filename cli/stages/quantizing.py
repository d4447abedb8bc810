"""Eight-bit forms of a network for an engine: calibrated on images of ``train``, judged on others of ``train``."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.cli.stages.data import TrainingData, open_training_data
from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.calibration import METHODS, collect_ranges
from hwnas.exporters.engine import ENGINES, PRECISIONS, check_precision
from hwnas.exporters.mixed import FULL, Bench, Labelled, Trial, choose, compare_forms
from hwnas.exporters.quantized import quantize
from hwnas.exporters.tensorrt_engine import TensorRtEngine, compute_capability

if TYPE_CHECKING:
    from onnx import ModelProto

    from hwnas.compiler.network import Network
    from hwnas.progress import Progress

JUDGED_ON = 50
"""Held-out images at most: each form runs them all."""


@dataclass(frozen=True)
class Int8Options:
    """How to quantize. ``max_drop`` (0 to 1): pick the fastest mix of float and int8 that loses no more mIoU."""

    calibration: str = "minmax"
    images: int = 100
    max_drop: float | None = None


@dataclass(frozen=True)
class Prepared:
    """A network as ONNX for one normalised image to logits, and how it came to its precision."""

    model: ModelProto
    quantization: dict[str, Any] = field(default_factory=dict)
    """For the manifest; empty if it is in float."""
    trials: tuple[Trial, ...] = ()
    chosen: str = ""
    judged_on: int = 0
    """Held-out images."""

    def to_dict(self) -> dict[str, Any] | None:
        """A JSON-ready dictionary; None if it is in float."""
        if not self.quantization:
            return None
        return {
            **self.quantization,
            "judged_on": self.judged_on,
            "chosen": self.chosen,
            "trials": [trial.to_dict() for trial in self.trials],
        }


def check_options(
    engine: str, precision: str, int8: Int8Options, data: str | None, targets: Sequence[str] = ()
) -> None:
    """Refuse what cannot be done, before any work."""
    if precision not in PRECISIONS:
        raise HwnasError(f"there is no precision {precision!r}", f"choose one of: {', '.join(PRECISIONS)}")
    check_precision(engine, precision)
    if precision == FULL and data is None:
        raise HwnasError("int8 is calibrated on images", "give the data that the network was trained on: --data SPEC")
    if precision != FULL and int8.max_drop is not None:
        raise HwnasError("--max-miou-drop is for --precision int8", "leave it out; other precisions are not mixed")
    if isinstance(found := ENGINES.get(engine), TensorRtEngine):
        found.check_targets(targets)
        if int8.max_drop is not None and not compute_capability():
            raise HwnasError(
                f"mixes are timed in the engine, and {engine} needs a GPU, of which there is none here",
                "leave --max-miou-drop out, or export on the GPU",
            )
    elif targets:
        raise HwnasError(f"files of {engine} are not bound to a GPU", "leave --target out")
    if int8.calibration not in METHODS:
        raise HwnasError(f"there is no calibration {int8.calibration!r}", f"choose one of: {', '.join(METHODS)}")


def prepare(
    network: Network,
    *,
    engine: str,
    precision: str,
    data: TrainingData | None,
    int8: Int8Options,
    threads: int,
    progress: Progress,
) -> Prepared:
    """``network`` as ONNX, in eight bits if ``precision`` says so; ``data`` must be given then."""
    from hwnas.exporters.onnx_export import network_as_onnx

    model = network_as_onnx(network)
    if precision != FULL:
        return Prepared(model)
    assert data is not None
    chosen_images = spread(data.train, int8.images)
    ranges = collect_ranges(model, data.arrays.images[chosen_images], int8.calibration, progress)
    facts = {"calibration": int8.calibration, "images": len(chosen_images), "float_nodes": []}
    if isinstance(ENGINES.get(engine), TensorRtEngine) and not compute_capability():  # nothing can be run here
        return Prepared(quantize(model, ranges, symmetric=True), facts, chosen=FULL)
    held = spread(data.held, JUDGED_ON)
    judged_on = Labelled(data.arrays.images[held], data.arrays.masks[held], data.classes)
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        bench = Bench(model, ranges, engine, Path(folder), threads=threads)
        trials = compare_forms(bench, judged_on, mixes=int8.max_drop is not None, progress=progress)
        best = trials[1] if int8.max_drop is None else choose(trials, int8.max_drop)
        if best.problem:
            raise ArtifactError(best.problem, "let it leave parts in float: --max-miou-drop 0.5; or use another engine")
        if best is trials[0]:
            raise ArtifactError(
                f"no form in int8 is faster than fp32 within {100 * (int8.max_drop or 0):g} points of mIoU in {engine}",
                "allow a greater --max-miou-drop, try another --calibration, or export it in fp32",
            )
        made = bench.graph(best)
    return Prepared(made, {**facts, "float_nodes": list(best.float_nodes)}, tuple(trials), best.name, len(held))


def open_calibration_data(spec: str, network: Network, progress: Progress) -> TrainingData:
    """The split ``train`` at the network's size; refused if its classes are not as many as the network's."""
    graph = network.graph
    _, height, width = graph.shape(graph.input)
    data = open_training_data(spec, (height, width), progress)
    classes = graph.shape(graph.output)[0]
    if data.classes != classes:
        raise ArtifactError(
            f"the network knows {classes} classes, and {spec} has {data.classes}",
            "give the data that the network was trained on",
        )
    return data


def spread(indices: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of ``indices``, evenly spread over them."""
    if len(indices) <= count:
        return indices
    picked: np.ndarray = indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]
    return picked
