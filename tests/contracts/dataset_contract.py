"""What every data set must do. Each check gets an opened data set and an empty folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwnas.data.base import IGNORE, Dataset, open_dataset, read, record_reads
from hwnas.data.cache import load_arrays
from hwnas.errors import DataError


def check_opens_again_from_its_spec(dataset: Dataset, folder: Path) -> None:
    again = open_dataset(dataset.spec)
    assert again.name == dataset.name and again.classes == dataset.classes
    for split in dataset.splits:
        assert again.items(split) == dataset.items(split)
        assert again.signature(split) == dataset.signature(split)


def check_has_train_and_val(dataset: Dataset, folder: Path) -> None:
    assert {"train", "val"} <= set(dataset.splits)
    for split in dataset.splits:
        items = dataset.items(split)
        assert items and [item.index for item in items] == list(range(len(items)))
        assert {item.split for item in items} == {split}
        assert len({item.key for item in items}) == len(items)


def check_unknown_split_is_refused(dataset: Dataset, folder: Path) -> None:
    with pytest.raises(DataError, match="no split 'holdout'"):
        dataset.items("holdout")


def check_classes_have_names_and_colors(dataset: Dataset, folder: Path) -> None:
    names = [each.name for each in dataset.classes]
    assert 2 <= len(names) < 254 and len(set(names)) == len(names)
    assert all(0 <= part <= 255 for each in dataset.classes for part in each.color)


def check_reads_bytes_of_one_size(dataset: Dataset, folder: Path) -> None:
    for split in ("train", "val"):
        image, mask = read(dataset, dataset.items(split)[0])
        assert image.dtype == mask.dtype == np.uint8
        assert image.shape == (*mask.shape, 3)
        labels = set(np.unique(mask).tolist()) - {IGNORE}
        assert labels and max(labels) < len(dataset.classes)


def check_reading_twice_gives_the_same(dataset: Dataset, folder: Path) -> None:
    item = dataset.items("train")[-1]
    once, again = read(dataset, item), read(dataset, item)
    assert (once[0] == again[0]).all() and (once[1] == again[1]).all()


def check_every_read_is_reported(dataset: Dataset, folder: Path) -> None:
    with record_reads() as reads:
        read(dataset, dataset.items("train")[0])
        dataset.items("val")
        dataset.signature("val")
    assert reads and {each.split for each in reads} == {"train"}
    with record_reads() as reads:
        dataset.read_mask(dataset.items("val")[0])
    assert {each.split for each in reads} == {"val"}


def check_cached_arrays_are_what_is_read(dataset: Dataset, folder: Path) -> None:
    items = dataset.items("val")
    image, mask = read(dataset, items[0])
    arrays = load_arrays(dataset, "val", (image.shape[0], image.shape[1]), folder)
    assert arrays.keys == tuple(item.key for item in items) and len(arrays) == len(items)
    assert (arrays.images[0] == image).all() and (arrays.masks[0] == mask).all()


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]
