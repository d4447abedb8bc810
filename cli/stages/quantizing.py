"""Eight-bit forms of a network for an engine: calibrated on images of ``train``, judged on others of ``train``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.cli.stages.data import TrainingData, open_training_data
from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.calibration import METHODS, collect_ranges
from hwnas.exporters.engine import ENGINES, PRECISIONS, check_precision
from hwnas.exporters.mixed import FULL, Bench, Labelled, Trial, choose, compare_calibrations, compare_forms
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
    """How to quantize. Of several ``calibrations`` the most accurate is taken. ``max_drop`` (0 to 1): pick the fastest
    mix of float and int8 that loses no more mIoU."""

    calibrations: tuple[str, ...] = ("minmax",)
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
    calibrations: Mapping[str, float] = field(default_factory=dict)
    """mIoU of full int8 on them, where several calibrations were compared."""

    def to_dict(self) -> dict[str, Any] | None:
        """A JSON-ready dictionary; None if it is in float."""
        if not self.quantization:
            return None
        return {
            **self.quantization,
            "calibrations": dict(self.calibrations),
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
        if (int8.max_drop is not None or len(int8.calibrations) > 1) and not compute_capability():
            raise HwnasError(
                f"mixes and calibrations are compared in the engine, and {engine} needs a GPU, of which there is none "
                "here",
                "leave --max-miou-drop out and name one --calibration, or export on the GPU",
            )
    elif targets:
        raise HwnasError(f"files of {engine} are not bound to a GPU", "leave --target out")
    for name in int8.calibrations or ("",):
        if name not in METHODS:
            raise HwnasError(f"there is no calibration {name!r}", f"choose of: {', '.join(METHODS)}")


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
    images = data.arrays.images[spread(data.train, int8.images)]
    ranges = {name: collect_ranges(model, images, name, progress) for name in int8.calibrations}
    first = int8.calibrations[0]
    facts: dict[str, Any] = {"calibration": first, "images": len(images), "float_nodes": []}
    if isinstance(ENGINES.get(engine), TensorRtEngine) and not compute_capability():  # nothing can be run here
        return Prepared(quantize(model, ranges[first], symmetric=True), facts, chosen=FULL)
    held = spread(data.held, JUDGED_ON)
    judged_on = Labelled(data.arrays.images[held], data.arrays.masks[held], data.classes)
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        benches = {name: Bench(model, ranges[name], engine, Path(folder) / name, threads=threads) for name in ranges}
        scores = compare_calibrations(benches, judged_on, progress) if len(benches) > 1 else {}
        facts["calibration"] = max(scores, key=lambda name: scores[name], default=first)
        bench = benches[facts["calibration"]]
        trials = compare_forms(bench, judged_on, mixes=int8.max_drop is not None, progress=progress)
        best = _chosen(trials, int8.max_drop, engine)
        made = bench.graph(best)
    facts["float_nodes"] = list(best.float_nodes)
    return Prepared(made, facts, tuple(trials), best.name, len(held), scores)


def _chosen(trials: Sequence[Trial], max_drop: float | None, engine: str) -> Trial:
    """Full int8, or the fastest form that loses no more than ``max_drop``; one that is no gain is an ArtifactError."""
    best = trials[1] if max_drop is None else choose(trials, max_drop)
    if best.problem:
        raise ArtifactError(best.problem, "let it leave parts in float: --max-miou-drop 0.5; or use another engine")
    if best is trials[0]:
        raise ArtifactError(
            f"no form in int8 is faster than fp32 within {100 * (max_drop or 0):g} points of mIoU in {engine}",
            "allow a greater --max-miou-drop, try another --calibration, or export it in fp32",
        )
    return best


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
