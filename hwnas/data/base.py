"""What a data set is: classes, splits, items in sequence order, and arrays read from them.

Data sets register an opener under their kind; ``open_dataset("camvid:/data/camvid")`` finds it. Layouts live in one
file each; cached arrays live in ``cache``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from hwnas.errors import DataError
from hwnas.registry import Registry

IGNORE = 255
"""The label of pixels that neither train nor count."""

MAX_CLASSES = 254
"""Labels are bytes; 255 is ignored and 254 marks a raw label that the map does not know."""


@dataclass(frozen=True)
class ClassInfo:
    """A class; its label is its place in ``Dataset.classes``. ``color`` is (red, green, blue), 0..255."""

    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class Item:
    """One image and its mask. ``mask`` is None where the file is missing; both are None in a generated data set."""

    key: str
    split: str
    index: int
    image: Path | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class Mask:
    """Labels (H, W) uint8 with 255 = ignored; ``unknown`` maps raw labels outside the map to their pixel counts.

    Pixels of unknown labels are 255 in ``labels``.
    """

    labels: np.ndarray
    unknown: dict[int, int] = field(default_factory=dict)


class Dataset(Protocol):
    """A segmentation data set. ``splits`` has at least "train" and "val"."""

    @property
    def name(self) -> str: ...

    @property
    def spec(self) -> str:
        """The text that ``open_dataset`` opens it with."""

    @property
    def classes(self) -> tuple[ClassInfo, ...]: ...

    @property
    def splits(self) -> tuple[str, ...]: ...

    def items(self, split: str) -> tuple[Item, ...]:
        """The split's images in the order of the sequence (frames of a video are neighbours)."""

    def orphans(self, split: str) -> tuple[Path, ...]:
        """Mask files of the split that have no image."""

    def read_image(self, item: Item) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    def read_mask(self, item: Item) -> Mask:
        """The item's labels, and what was wrong with them."""

    def signature(self, split: str) -> str:
        """Text that changes whenever what is read from the split would change (names, sizes, times of its files)."""


Opener = Callable[[str], Dataset]
"""What follows the colon of a spec (a path or options) → data set."""

DATASETS: Registry[Opener] = Registry("data set", "hwnas.data")


def open_dataset(spec: str) -> Dataset:
    """Open ``"kind:path"`` such as ``"camvid:/data/camvid"``, or ``"streets"`` with or without options.

    A :class:`DataError` names a folder that is missing or holds no images; an unknown kind offers the nearest ones.
    """
    kind, _, argument = spec.partition(":")
    if not argument and kind not in DATASETS and Path(spec).expanduser().exists():
        raise DataError(f"{spec} does not say what kind of data it is", f"write folder:{spec} or camvid:{spec}")
    return DATASETS.get(kind)(argument)


def read(dataset: Dataset, item: Item) -> tuple[np.ndarray, np.ndarray]:
    """The image (H, W, 3) uint8 RGB and its labels (H, W) uint8 with 255 = ignored.

    A :class:`DataError` names the file where the mask is missing, of another size, or has labels outside the map.
    """
    mask = dataset.read_mask(item)
    where = item.mask or item.key
    if mask.unknown:
        label, count = next(iter(mask.unknown.items()))
        raise DataError(
            f"{where} has label {label} in {count} pixels, which is outside the map of {len(dataset.classes)} classes",
            f"mend it or set those pixels to {IGNORE} (ignored); to see all: hwnas data check {dataset.spec}",
        )
    image = dataset.read_image(item)
    if image.shape[:2] != mask.labels.shape:
        sizes = f"{image.shape[0]}x{image.shape[1]} but its mask is {mask.labels.shape[0]}x{mask.labels.shape[1]}"
        raise DataError(f"{item.image or item.key} is {sizes}", "an image and its mask must have the same size")
    return image, mask.labels


def need_split(dataset: Dataset, split: str) -> None:
    """A :class:`DataError` unless the data set has ``split``."""
    if split not in dataset.splits:
        raise DataError(f"{dataset.spec} has no split {split!r}", f"it has: {', '.join(dataset.splits)}")


@dataclass(frozen=True)
class Read:
    """Something that was read: an image, a mask, or a whole split's cached arrays."""

    split: str
    what: str


_recorders: list[list[Read]] = []


@contextmanager
def record_reads() -> Iterator[list[Read]]:
    """Collect everything that is read of any data set in this process, in any thread.

    The proof that a search never looks at the images it is judged on: every data set and the cache report here.
    """
    reads: list[Read] = []
    _recorders.append(reads)
    try:
        yield reads
    finally:
        # By identity: two empty lists are equal.
        _recorders[:] = [other for other in _recorders if other is not reads]


def note_read(split: str, what: object) -> None:
    """Report a read to :func:`record_reads`; data sets call it before they read."""
    for reads in _recorders:
        reads.append(Read(split, str(what)))
