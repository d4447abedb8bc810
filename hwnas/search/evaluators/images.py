"""The images that evaluators train on and score by. Only of the split ``train``: ``val`` never comes here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwnas.data.base import Dataset
from hwnas.data.cache import Arrays, load_arrays, resize_pair
from hwnas.errors import HwnasError
from hwnas.search.evaluators.base import Shown

STEP = 4
"""Reduced sizes are multiples of so many pixels."""


@dataclass(frozen=True)
class Images:
    """The split ``train`` at one size. ``train`` and ``held`` are places in ``arrays``: what a candidate is trained on,
    and the contiguous blocks that its score is read on.

    ``identity`` is a text that is equal for equal images: it keys cached results. ``at_size`` gives the same images at
    another size; without it they are resized in memory.
    """

    arrays: Arrays
    train: np.ndarray
    held: np.ndarray
    classes: int
    identity: str
    at_size: Callable[[tuple[int, int]], Arrays] | None = None

    @property
    def size_hw(self) -> tuple[int, int]:
        height, width = self.arrays.images.shape[1:3]
        return int(height), int(width)

    def shown(self, calibration: int) -> Shown:
        """What further metrics look at: so many images of those trained on, evenly spread, and all held-out ones."""
        count = min(calibration, len(self.train))
        chosen = self.train[np.linspace(0, len(self.train) - 1, count).round().astype(int)]
        images, masks = self.arrays.images, self.arrays.masks
        return Shown(images[chosen], images[self.held], masks[self.held], self.classes)

    def reduced(self, *, resolution: float = 1.0, samples: float = 1.0) -> Images:
        """These images at ``resolution`` of the height and width, with ``samples`` of those trained on, evenly spread.

        The held-out ones all stay. A HwnasError for what is no part of the whole.
        """
        for name, part in (("resolution", resolution), ("samples", samples)):
            if not 0 < part <= 1:
                raise HwnasError(f"a {name} of {part:g} is no part of the whole", "give more than 0 and at most 1")
        size_hw = tuple(max(32, round(size * resolution / STEP) * STEP) for size in self.size_hw)
        arrays = self.arrays if resolution == 1 else self._resized((size_hw[0], size_hw[1]))
        count = max(1, round(len(self.train) * samples))
        chosen = self.train[np.linspace(0, len(self.train) - 1, count).round().astype(int)]
        return replace(self, arrays=arrays, train=chosen)

    def _resized(self, size_hw: tuple[int, int]) -> Arrays:
        if self.at_size is not None:
            return self.at_size(size_hw)
        pairs = [
            resize_pair(np.asarray(image), np.asarray(mask), size_hw)
            for image, mask in zip(self.arrays.images, self.arrays.masks, strict=True)
        ]
        return Arrays(np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs]), self.arrays.keys)


def images_of(
    dataset: Dataset, arrays: Arrays, train: np.ndarray, held: np.ndarray, *, cache_dir: Path | None = None
) -> Images:
    """The images of a data set's split ``train``; other sizes are decoded into the cache, memory-mapped."""
    return Images(
        arrays,
        train,
        held,
        len(dataset.classes),
        f"{dataset.spec} {dataset.signature('train')}",
        lambda size_hw: load_arrays(dataset, "train", size_hw, cache_dir),
    )
