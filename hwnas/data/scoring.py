"""Mean intersection over union of a confusion matrix. One rule for PyTorch and for engines; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Score:
    """``miou`` and ``accuracy`` (of pixels) from 0 to 1; ``ious`` by class, NaN for a class that is absent.

    A class is absent if it occurs neither in the masks nor in the prediction; it is left out of the mean.
    """

    miou: float
    accuracy: float
    ious: tuple[float, ...]


def score_of(confusion: np.ndarray) -> Score:
    """The score of a confusion matrix (true class, predicted class) of pixel counts."""
    matrix = np.asarray(confusion, dtype=np.float64)
    hits = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - hits
    ious = np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
    present = ious[~np.isnan(ious)]
    total = matrix.sum()
    return Score(
        miou=float(present.mean()) if present.size else 0.0,
        accuracy=float(hits.sum() / total) if total else 0.0,
        ious=tuple(float(iou) for iou in ious),
    )
