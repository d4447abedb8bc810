"""``streets``: a built-in, procedural data set of street scenes. No file is read: images are computed.

Options follow the colon: ``streets:size=180x240,train=200,val=50,seed=0``. An image depends on the seed, its split and
its index only. Scenes are independent of each other (not a video), so neighbours are no nearer than others.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from hwnas.data.base import DATASETS, ClassInfo, Dataset, Item, Mask, need_split, note_read
from hwnas.data.street.render import render
from hwnas.data.street.sample import sample_scene
from hwnas.data.street.scene import Label
from hwnas.errors import DataError, HwnasError
from hwnas.shapes import parse_size

VERSION = 1
"""Raised whenever any picture changes."""

CLASSES = (
    ClassInfo("road", (128, 64, 128)),
    ClassInfo("pavement", (244, 35, 232)),
    ClassInfo("building", (70, 70, 70)),
    ClassInfo("fence", (190, 153, 153)),
    ClassInfo("pole", (153, 153, 153)),
    ClassInfo("sign", (220, 220, 0)),
    ClassInfo("tree", (107, 142, 35)),
    ClassInfo("sky", (70, 130, 180)),
    ClassInfo("person", (220, 20, 60)),
    ClassInfo("cyclist", (119, 11, 32)),
    ClassInfo("car", (0, 0, 142)),
)
assert [each.name for each in CLASSES] == [label.name.lower() for label in Label]


@dataclass(frozen=True)
class Streets:
    """``height`` x ``width`` pixels, ``train`` and ``val`` images."""

    height: int = 180
    width: int = 240
    train: int = 300
    val: int = 60
    seed: int = 0

    @property
    def name(self) -> str:
        return "streets"

    @property
    def spec(self) -> str:
        return f"streets:size={self.height}x{self.width},train={self.train},val={self.val},seed={self.seed}"

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        return CLASSES

    @property
    def splits(self) -> tuple[str, ...]:
        return ("train", "val")

    def items(self, split: str) -> tuple[Item, ...]:
        """The images of a split; they have no files."""
        need_split(self, split)
        count = self.train if split == "train" else self.val
        return tuple(Item(f"{split}/{index:05d}", split, index) for index in range(count))

    def orphans(self, split: str) -> tuple[Path, ...]:
        """None: there are no files."""
        need_split(self, split)
        return ()

    def draw(self, item: Item) -> tuple[np.ndarray, np.ndarray]:
        """The picture (H, W, 3) uint8 and its labels (H, W) uint8."""
        note_read(item.split, item.key)
        return _draw(self.seed, item.split, item.index, (self.height, self.width))

    def read_image(self, item: Item) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return self.draw(item)[0]

    def read_mask(self, item: Item) -> Mask:
        """The picture's labels; every pixel has one."""
        return Mask(self.draw(item)[1])

    def signature(self, split: str) -> str:
        """The options and the version of what draws."""
        return f"{VERSION} {self.spec}"


@lru_cache(maxsize=32)
def _draw(seed: int, split: str, index: int, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Kept for a moment, since an image and its mask are asked for one after the other."""
    rng = np.random.default_rng([seed, zlib.crc32(split.encode()), index])
    picture, labels = render(sample_scene(rng), size_hw)
    picture.setflags(write=False)
    labels.setflags(write=False)
    return picture, labels


def open_streets(argument: str) -> Dataset:
    """Open with options such as ``"size=180x240,train=200"``; what is left out has the defaults of :class:`Streets`."""
    known = {each.name for each in fields(Streets)} - {"height", "width"} | {"size"}
    options: dict[str, int] = {}
    for part in filter(None, argument.split(",")):
        name, equals, value = (text.strip() for text in part.partition("="))
        if name not in known or not equals:
            raise DataError(f"streets has no option {part!r}", f"its options are: {', '.join(sorted(known))}")
        if name == "size":
            try:
                options["height"], options["width"] = parse_size(value)
            except HwnasError as error:
                raise DataError(f"streets: {error.message}", "write it like streets:size=180x240") from error
        elif value.isdecimal():
            options[name] = int(value)
        else:
            raise DataError(f"streets: {name}={value} is not a whole number", f"write it like streets:{name}=100")
    dataset = Streets(**options)
    if dataset.train < 1 or dataset.val < 1:
        raise DataError(f"{dataset.spec} has an empty split", "train and val must be at least 1")
    return dataset


DATASETS.register("streets", open_streets)
