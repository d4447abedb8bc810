"""Ranges of a network's tensors on real images, by ONNX Runtime's calibrators, for its quantizer."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.data.preprocess import normalize_array
from hwnas.errors import ArtifactError
from hwnas.optional import require
from hwnas.progress import Progress, Silent

if TYPE_CHECKING:
    from onnx import ModelProto

METHODS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
"""``minmax``: all that occurred. ``percentile``: but for the outermost 0.001%. ``entropy``: cut where the values that
are left tell most of all of them (least Kullback-Leibler divergence)."""


def collect_ranges(
    model: ModelProto, images: np.ndarray, method: str, progress: Progress | None = None
) -> dict[str, tuple[float, float]]:
    """Least and greatest value of every float tensor of ``model`` (one normalised image to logits), run on uint8
    ``images`` (N, H, W, 3). Raises ArtifactError for no images, or those of another size.
    """
    if method not in METHODS:
        raise ArtifactError(f"there is no calibration {method!r}", f"choose one of: {', '.join(METHODS)}")
    (end,) = model.graph.input
    _check_images(images, tuple(int(size.dim_value) for size in end.type.tensor_type.shape.dim[2:]))
    calibrate = require("onnxruntime.quantization.calibrate", extra="cpu")
    with (
        tempfile.TemporaryDirectory(prefix="hwnas-") as folder,
        (progress or Silent()).task("calibrating", len(images)) as task,
        redirect_stdout(io.StringIO()),  # the calibrators print what they do
    ):
        path = Path(folder) / "float.onnx"
        path.write_bytes(model.SerializeToString())
        kind = getattr(calibrate.CalibrationMethod, METHODS[method])
        options = {"symmetric": False}
        calibrator = calibrate.create_calibrator(
            path, None, str(Path(folder) / "augmented.onnx"), calibrate_method=kind, extra_options=options
        )
        for i in range(len(images)):  # one at a time: the calibrators keep every tensor of what they are given at once
            calibrator.collect_data(_one({end.name: normalize_array(np.asarray(images[i : i + 1]))}, calibrate))
            task.update(i + 1)
        found = calibrator.compute_data()
        return {name: _range(found[name]) for name in found.keys()}  # noqa: SIM118 - not a mapping


def _check_images(images: np.ndarray, size_hw: tuple[int, ...]) -> None:
    if not len(images):
        raise ArtifactError("there are no images to calibrate on", "give some of the training set")
    if images.shape[1:3] != size_hw:
        given, wanted = ("x".join(map(str, size)) for size in (images.shape[1:3], size_hw))
        raise ArtifactError(f"the calibration images are {given}, and the network takes {wanted}", "resize them")


def _one(feed: dict[str, np.ndarray], calibrate: Any) -> Any:
    """What the calibrators read from: one image."""

    class Reader(calibrate.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[dict[str, np.ndarray]] = iter([feed])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    return Reader()


def _range(data: Any) -> tuple[float, float]:
    low, high = data.range_value
    return float(np.min(low)), float(np.max(high))
