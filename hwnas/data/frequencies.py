"""How much of each class the images show."""

from __future__ import annotations

import numpy as np

from hwnas.data.cache import Arrays


def class_amounts(arrays: Arrays, classes: int) -> np.ndarray:
    """Pixels of each class in each image: (N, classes) int64."""
    counts = (np.bincount(mask.ravel(), minlength=256)[:classes] for mask in arrays.masks)
    return np.stack(list(counts))


def class_frequencies(arrays: Arrays, classes: int) -> np.ndarray:
    """Each class's share of the pixels that are not ignored: (classes,) float64, sums to 1 (all 0 if none counts)."""
    amounts = class_amounts(arrays, classes).sum(0)
    return np.asarray(amounts / max(amounts.sum(), 1))
