"""CamVid, 11 classes and void, in its three usual layouts.

- SegNet: ``train/ trainannot/ val/ valannot/`` (``test/ testannot/``), masks of numbers, 11 is void;
- PaddleSeg: ``images/ annot/`` and ``train.txt val.txt`` that list pairs, masks of numbers, 255 (or 11) is void;
- PIDNet: ``images/ labels/`` and ``list/*.lst`` (or ``../list/camvid/*.lst``) that list pairs, coloured masks of
  CamVid's 32 classes, of which those outside the 11 are ignored, not merged, as PIDNet does.

G. Brostow, J. Fauqueur, R. Cipolla: Semantic object classes in video, 2009. Class order of
SegNet (Badrinarayanan et al., 2017).
"""

from __future__ import annotations

from pathlib import Path

from hwnas.data.base import DATASETS, IGNORE, ClassInfo, Dataset, Item
from hwnas.data.filedata import (
    MASK_SUFFIXES,
    FileDataset,
    LabelMap,
    list_files,
    listed_pairs,
    numbered,
    pair_folders,
    root_folder,
    unlisted,
)
from hwnas.errors import DataError

CLASSES = (
    ClassInfo("Sky", (128, 128, 128)),
    ClassInfo("Building", (128, 0, 0)),
    ClassInfo("Pole", (192, 192, 128)),
    ClassInfo("Road", (128, 64, 128)),
    ClassInfo("Pavement", (0, 0, 192)),
    ClassInfo("Tree", (128, 128, 0)),
    ClassInfo("SignSymbol", (192, 128, 128)),
    ClassInfo("Fence", (64, 64, 128)),
    ClassInfo("Car", (64, 0, 128)),
    ClassInfo("Pedestrian", (64, 64, 0)),
    ClassInfo("Bicyclist", (0, 128, 192)),
)
VOID = 11
SPLITS = ("train", "val", "test")


def open_camvid(argument: str) -> Dataset:
    """Open a CamVid folder of any of the three layouts, told apart by the folders in it."""
    root = root_folder(argument, "camvid")
    if (root / "train").is_dir() and (root / "trainannot").is_dir():
        pairs, lone = _segnet(root)
    elif (root / "images").is_dir():
        pairs, lone = _listed(root)
    else:
        raise DataError(
            f"camvid: {root} has none of CamVid's layouts",
            "expected train/ and trainannot/, or images/ with annot/ or labels/ and lists of pairs",
        )
    labels = LabelMap(numbered(len(CLASSES), ignored=(VOID, IGNORE)), colors=tuple(each.color for each in CLASSES))
    return FileDataset("camvid", f"camvid:{argument}", CLASSES, labels, pairs, lone)


_Found = tuple[dict[str, tuple[Item, ...]], dict[str, tuple[Path, ...]]]


def _segnet(root: Path) -> _Found:
    pairs: dict[str, tuple[Item, ...]] = {}
    lone: dict[str, tuple[Path, ...]] = {}
    for split in SPLITS:
        if (root / split).is_dir():
            pairs[split], lone[split] = pair_folders(split, root / split, root / f"{split}annot")
    return pairs, lone


def _listed(root: Path) -> _Found:
    lists = {split: found for split in SPLITS if (found := _list_of(root, split))}
    missing = [split for split in ("train", "val") if split not in lists]
    if missing:
        raise DataError(
            f"camvid: {root} has images/ but no list of its {missing[0]} pairs",
            f"expected {missing[0]}.txt (PaddleSeg) or list/{missing[0]}.lst (PIDNet) with an image and a mask a line",
        )
    pairs = {split: listed_pairs(split, root, path) for split, path in lists.items()}
    masks = [path for folder in ("annot", "labels") for path in list_files(root / folder, MASK_SUFFIXES)]
    # A mask in no list belongs to no split; it is reported once, with train.
    return pairs, {"train": unlisted(masks, (item for items in pairs.values() for item in items))}


def _list_of(root: Path, split: str) -> Path | None:
    candidates = (
        root / f"{split}.txt",
        root / "list" / f"{split}.lst",
        root / "list" / "camvid" / f"{split}.lst",
        root.parent / "list" / "camvid" / f"{split}.lst",
    )
    return next((path for path in candidates if path.is_file()), None)


DATASETS.register("camvid", open_camvid)
