"""The images of a run: what is trained on, what is held out of it to search by, and what is kept to the end."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.data.base import Dataset, need_split, open_dataset
from hwnas.data.cache import Arrays, load_arrays
from hwnas.data.frequencies import class_amounts
from hwnas.data.holdout import split_blocks
from hwnas.errors import DataError
from hwnas.search.evaluators.images import Images, images_of

if TYPE_CHECKING:
    from hwnas.progress import Progress

logger = logging.getLogger(__name__)

HELD_OUT = 0.15
TRAIN, VAL = "train", "val"


@dataclass(frozen=True)
class TrainingData:
    """The split ``train`` at one size, and its parts: ``held`` are contiguous blocks that only scores are read on."""

    dataset: Dataset
    arrays: Arrays
    train: np.ndarray
    held: np.ndarray

    @property
    def classes(self) -> int:
        return len(self.dataset.classes)

    @property
    def images(self) -> Images:
        """The same, as evaluators see it."""
        return images_of(self.dataset, self.arrays, self.train, self.held)

    @property
    def everything(self) -> np.ndarray:
        """All of ``train``, for the training that nothing is decided by any more."""
        return np.arange(len(self.arrays.images))


def check_pairs(dataset: Dataset) -> None:
    """That both splits are there and every image has its mask, by the files' names: no image of ``val`` is opened."""
    for split in (TRAIN, VAL):
        need_split(dataset, split)
        missing = [item for item in dataset.items(split) if item.image is not None and item.mask is None]
        if missing:
            raise DataError(
                f"{len(missing)} images of {dataset.spec}, split {split}, have no mask; the first: {missing[0].image}",
                f"add the masks or remove the images; `hwnas data check {dataset.spec}` lists all faults",
            )


def open_training_data(spec: str, size_hw: tuple[int, int], progress: Progress) -> TrainingData:
    """Decode and check the split ``train``; ``val`` is not opened. Raises DataError naming the first file at fault."""
    dataset = open_dataset(spec)
    check_pairs(dataset)
    arrays = load_arrays(dataset, TRAIN, size_hw, progress=progress)
    amounts = class_amounts(arrays, len(dataset.classes))
    train, held = split_blocks(len(arrays.images), HELD_OUT, amounts=amounts)
    _warn_of_absent(dataset, amounts[held].sum(0), f"the images held out of {spec}")
    return TrainingData(dataset, arrays, train, held)


def open_validation_data(dataset: Dataset, size_hw: tuple[int, int], progress: Progress) -> Arrays:
    """The split ``val``: read once, when everything is decided."""
    arrays = load_arrays(dataset, VAL, size_hw, progress=progress)
    _warn_of_absent(dataset, class_amounts(arrays, len(dataset.classes)).sum(0), f"the split val of {dataset.spec}")
    return arrays


def _warn_of_absent(dataset: Dataset, amounts: np.ndarray, where: str) -> None:
    """Say which classes no pixel of ``where`` shows: they are left out of its mIoU, or count as 0 if predicted."""
    absent = [item.name for item, amount in zip(dataset.classes, amounts, strict=True) if not amount]
    if absent:
        logger.warning("no pixel of %s is of class %s: its mIoU says nothing of them", where, ", ".join(absent))
