"""The generic layout: ``images/{train,val}``, ``masks/{train,val}``, ``classes.txt``; 255 is ignored.

``classes.txt`` has a class a line in the order of the labels, optionally followed by its colour: ``road 128 64 128``.
If every class has one, coloured masks are read, too. mmsegmentation's folder names ``img_dir`` and ``ann_dir`` will do.
"""

from __future__ import annotations

import re
from pathlib import Path

from hwnas.data.base import DATASETS, ClassInfo, Dataset
from hwnas.data.filedata import FileDataset, LabelMap, numbered, pair_folders, root_folder
from hwnas.data.palette import numbered_color
from hwnas.errors import DataError

LAYOUTS = (("images", "masks"), ("img_dir", "ann_dir"))


def open_folder(argument: str) -> Dataset:
    """Open a folder of the generic layout."""
    root = root_folder(argument, "folder")
    names = next(((a, b) for a, b in LAYOUTS if (root / a).is_dir() and (root / b).is_dir()), None)
    if names is None:
        raise DataError(
            f"folder: {root} has no images/ and masks/",
            "expected images/train, images/val, masks/train, masks/val (or img_dir/ and ann_dir/) and classes.txt",
        )
    classes, colors = read_classes(root / "classes.txt")
    pairs = {}
    lone = {}
    for split in ("train", "val", "test"):
        if (root / names[0] / split).is_dir():
            pairs[split], lone[split] = pair_folders(split, root / names[0] / split, root / names[1] / split)
    labels = LabelMap(numbered(len(classes)), colors=colors)
    return FileDataset("folder", f"folder:{argument}", classes, labels, pairs, lone)


def read_classes(path: Path) -> tuple[tuple[ClassInfo, ...], tuple[tuple[int, int, int], ...]]:
    """The classes of ``classes.txt``, and their colours if the file gives every one."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} ({error})", "list the classes in it, one a line, label 0 first") from error
    classes: list[ClassInfo] = []
    given: list[tuple[int, int, int]] = []
    for line in filter(None, lines):
        match = re.fullmatch(r"(.+?)[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})", line)
        if match:
            color = (int(match[2]), int(match[3]), int(match[4]))
            if max(color) > 255:
                raise DataError(f"{path}: {line!r} has a colour over 255", "colours are red green blue, 0 to 255")
            given.append(color)
        classes.append(ClassInfo(match[1], color) if match else ClassInfo(line, numbered_color(len(classes) + 1)))
    if len(classes) < 2:
        raise DataError(f"{path} names {len(classes)} classes", "list at least two, one a line, label 0 first")
    if len({each.name for each in classes}) < len(classes):
        raise DataError(f"{path} names a class twice", "every class needs a name of its own")
    return tuple(classes), tuple(given) if len(given) == len(classes) else ()


DATASETS.register("folder", open_folder)
