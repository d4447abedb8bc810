"""A data set of image and mask files, and how raw labels become class numbers. The layouts build on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas.data import pixels
from hwnas.data.base import IGNORE, MAX_CLASSES, ClassInfo, Item, Mask, need_split, note_read
from hwnas.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
_UNKNOWN = 254


@dataclass(frozen=True)
class LabelMap:
    """Which raw labels mean which class (255: ignored). A raw label that is not here is a fault of the file's.

    ``colors`` are the classes' colours in coloured masks, empty where masks must be numbers; a colour that is not there
    is ignored.
    """

    class_of: Mapping[int, int]
    colors: tuple[tuple[int, int, int], ...] = ()

    def decode(self, raw: np.ndarray, path: Path) -> Mask:
        """Raw numbers (H, W) or colours (H, W, 3) → :class:`Mask`; ``path`` is named in errors."""
        if raw.ndim == 3:
            return self._decode_colors(raw, path)
        if raw.dtype != np.uint8:  # 16 bits, or a 1-bit mask; what does not fit into a byte cannot be in the map
            values, counts = np.unique(raw, return_counts=True)
            unknown = {int(v): int(n) for v, n in zip(values, counts, strict=True) if int(v) not in self.class_of}
            known = np.where(np.isin(raw, list(unknown)), IGNORE, raw).astype(np.uint8)
            labels = self._table()[known]
            labels[np.isin(raw, list(unknown))] = IGNORE
            return Mask(labels, unknown)
        labels = self._table()[raw]
        strange = labels == _UNKNOWN
        if not strange.any():
            return Mask(labels)
        counts = np.bincount(raw[strange], minlength=256)
        labels[strange] = IGNORE
        return Mask(labels, {int(value): int(counts[value]) for value in np.flatnonzero(counts)})

    def _table(self) -> np.ndarray:
        table = np.full(256, _UNKNOWN, np.uint8)
        for raw, label in self.class_of.items():
            table[raw] = label
        return table

    def _decode_colors(self, raw: np.ndarray, path: Path) -> Mask:
        if not self.colors:
            raise DataError(
                f"{path} is a coloured picture, not a mask of class numbers",
                "a mask is an 8-bit PNG with one class number a pixel: convert it",
            )
        packed = (raw[..., 0].astype(np.int32) << 16) | (raw[..., 1].astype(np.int32) << 8) | raw[..., 2]
        labels = np.full(packed.shape, IGNORE, np.uint8)
        for label, (red, green, blue) in enumerate(self.colors):
            labels[packed == (red << 16 | green << 8 | blue)] = label
        return Mask(labels)


def numbered(classes: int, *, first: int = 0, ignored: Sequence[int] = (IGNORE,)) -> dict[int, int]:
    """Raw labels ``first``, ``first`` + 1, ... are the classes in order; those in ``ignored`` are 255."""
    return {**dict.fromkeys(ignored, IGNORE), **{first + label: label for label in range(classes)}}


@dataclass(frozen=True)
class FileDataset:
    """Images and masks in files; ``pairs`` and ``lone_masks`` are by split, in sequence order."""

    name: str
    spec: str
    classes: tuple[ClassInfo, ...]
    labels: LabelMap
    pairs: Mapping[str, tuple[Item, ...]]
    lone_masks: Mapping[str, tuple[Path, ...]]

    def __post_init__(self) -> None:
        if len(self.classes) > MAX_CLASSES:
            raise DataError(f"{self.spec} has {len(self.classes)} classes", f"at most {MAX_CLASSES} fit into a byte")
        for split in ("train", "val"):
            if not self.pairs.get(split):
                raise DataError(f"{self.spec} has no images in split {split!r}", "check the path and the layout")

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.pairs)

    def items(self, split: str) -> tuple[Item, ...]:
        """The split's images in sequence order; an item whose mask file is missing has ``mask`` None."""
        need_split(self, split)
        return self.pairs[split]

    def orphans(self, split: str) -> tuple[Path, ...]:
        """Mask files of the split that have no image."""
        need_split(self, split)
        return self.lone_masks.get(split, ())

    def read_image(self, item: Item) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        assert item.image is not None
        note_read(item.split, item.image)
        return pixels.read_pixels(item.image, labels=False)

    def read_mask(self, item: Item) -> Mask:
        """The item's labels; a missing mask is a :class:`DataError`."""
        if item.mask is None:
            raise DataError(
                f"{item.image} has no mask",
                f"add the mask or leave the image out; to see all: hwnas data check {self.spec}",
            )
        note_read(item.split, item.mask)
        return self.labels.decode(pixels.read_pixels(item.mask, labels=True), item.mask)

    def signature(self, split: str) -> str:
        """Classes and label map, and the names, sizes and modification times of the split's files."""
        lines = [repr((self.labels.class_of, self.labels.colors, [each.name for each in self.classes]))]
        for item in self.items(split):
            for path in (item.image, item.mask):
                lines.append(_stamp(path) if path else "-")
        return "\n".join(lines)


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}", "check the path, and the list that names it"
        ) from error
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def root_folder(argument: str, kind: str) -> Path:
    """The folder that a spec names; one that is missing is a :class:`DataError`."""
    if not argument:
        raise DataError(f"{kind} needs a folder", f"write {kind}:PATH")
    root = Path(argument).expanduser()
    if not root.is_dir():
        reason = "is a file, not a folder" if root.exists() else "does not exist"
        raise DataError(f"{kind}: {root} {reason}", "give the folder that holds the data set")
    return root


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files with one of ``suffixes`` anywhere below ``folder``, sorted by path; hidden ones are left out."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    return sorted(path for path in found if not path.name.startswith("."))


def pair_folders(
    split: str, images: Path, masks: Path, *, image_end: str = "", mask_end: str = ""
) -> tuple[tuple[Item, ...], tuple[Path, ...]]:
    """Pair the files of two folders by their relative path without suffix, and list the masks without an image.

    ``image_end`` and ``mask_end`` are endings of the stem that only one of the two has (``_leftImg8bit``); files
    without their ending are not looked at.
    """
    image_of = _by_stem(images, IMAGE_SUFFIXES, image_end)
    mask_of = _by_stem(masks, MASK_SUFFIXES, mask_end)
    items = tuple(Item(key, split, index, path, mask_of.get(key)) for index, (key, path) in enumerate(image_of.items()))
    return items, tuple(path for key, path in mask_of.items() if key not in image_of)


def _by_stem(folder: Path, suffixes: Sequence[str], ending: str) -> dict[str, Path]:
    result: dict[str, Path] = {}
    for path in list_files(folder, suffixes):
        if path.stem.endswith(ending):
            name = path.stem.removesuffix(ending) if ending else path.stem
            result[path.relative_to(folder).with_name(name).as_posix()] = path
    return result


def listed_pairs(split: str, root: Path, list_file: Path) -> tuple[Item, ...]:
    """The pairs that a text file lists, ``image mask`` on each line, relative to ``root``; its order is kept.

    The distributed lists may start paths with ``/`` or the original author's folders: where such a path does not exist,
    its last two parts are tried. A mask that does not exist is None; an image that does not is a :class:`DataError`.
    """
    items: list[Item] = []
    for number, line in enumerate(list_file.read_text(encoding="utf-8").splitlines(), 1):
        names = line.split()
        if not names:
            continue
        image = _find(root, names[0])
        if image is None:
            raise DataError(f"{list_file} line {number} names {names[0]}, which does not exist", "check the data set")
        mask = _find(root, names[1]) if len(names) > 1 else None
        items.append(Item(Path(names[0]).with_suffix("").as_posix().lstrip("/"), split, len(items), image, mask))
    return tuple(items)


def _find(root: Path, name: str) -> Path | None:
    plain = name.lstrip("/")
    for path in (root / plain, root / Path(*Path(plain).parts[-2:])):
        if path.is_file():
            return path
    return None


def unlisted(masks: Iterable[Path], items: Iterable[Item]) -> tuple[Path, ...]:
    """The mask files that belong to no item."""
    used = {item.mask for item in items}
    return tuple(path for path in masks if path not in used)
