"""The metric ``miou_int8`` of a search's candidates: quantized, and run in ONNX Runtime on the held-out images."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.exporters.calibration import collect_ranges
from hwnas.exporters.engine import engine_named
from hwnas.exporters.mixed import FULL, Bench, Trial
from hwnas.search.evaluators.base import CALIBRATION, Measure, Shown

if TYPE_CHECKING:
    from hwnas.compiler.network import Network

ENGINE, METHOD = "onnxruntime", "minmax"


def int8_measure() -> Measure:
    """For an evaluator."""
    return Measure(f"{ENGINE} {FULL} {METHOD} {CALIBRATION}", int8_miou)


def int8_miou(network: Network, shown: Shown) -> float:
    """mIoU, from 0 to 1, of ``network`` as ``hwnas export --precision int8`` makes it, on one thread of the engine.

    ArtifactError for a network that the engine cannot run in eight bits.
    """
    from hwnas.exporters.onnx_export import network_as_onnx
    from hwnas.exporters.validate import evaluate_engine

    model = network_as_onnx(network)
    ranges = collect_ranges(model, shown.calibration, METHOD)
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        bench = Bench(model, ranges, ENGINE, Path(folder))
        path, _ = bench.build(Trial(FULL, ()))
        with engine_named(ENGINE).open(path, threads=bench.threads) as session:
            return evaluate_engine(session, shown.images, shown.masks, shown.classes).miou
