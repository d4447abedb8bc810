"""PASCAL VOC 2012: ``JPEGImages SegmentationClass ImageSets/Segmentation``, palette masks, 21 classes, 255 ignored.

M. Everingham et al.: The PASCAL visual object classes challenge: a retrospective, 2015.
"""

from __future__ import annotations

from pathlib import Path

from hwnas.data.base import DATASETS, Dataset, Item
from hwnas.data.filedata import FileDataset, LabelMap, list_files, numbered, root_folder, unlisted
from hwnas.data.palette import colored
from hwnas.errors import DataError

CLASSES = colored(
    "background,aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,motorbike,person,"
    "pottedplant,sheep,sofa,train,tvmonitor"
)


def open_voc(argument: str) -> Dataset:
    """Open ``VOC2012``, or a folder that holds it (``VOCdevkit`` or its parent)."""
    given = root_folder(argument, "voc")
    roots = (given, given / "VOC2012", given / "VOCdevkit" / "VOC2012")
    root = next((path for path in roots if (path / "ImageSets" / "Segmentation").is_dir()), None)
    if root is None:
        raise DataError(
            f"voc: {given} has no ImageSets/Segmentation", "give VOCdevkit/VOC2012 as the archive unpacks it"
        )
    pairs = {}
    for split in ("train", "val", "test"):
        listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        if listing.is_file():
            pairs[split] = _items(root, split, listing)
    masks = list_files(root / "SegmentationClass", (".png",))
    lone = {"train": unlisted(masks, (item for items in pairs.values() for item in items))}
    labels = LabelMap(numbered(len(CLASSES)), colors=tuple(each.color for each in CLASSES))
    return FileDataset("voc", f"voc:{argument}", CLASSES, labels, pairs, lone)


def _items(root: Path, split: str, listing: Path) -> tuple[Item, ...]:
    items = []
    for index, name in enumerate(listing.read_text(encoding="utf-8").split()):
        image, mask = root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png"
        if not image.is_file():
            raise DataError(f"{listing} names {name}, but {image} does not exist", "unpack the whole archive")
        items.append(Item(name, split, index, image, mask if mask.is_file() else None))
    return tuple(items)


DATASETS.register("voc", open_voc)
