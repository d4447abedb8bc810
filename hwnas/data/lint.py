"""A linter for segmentation data: faults that cost accuracy or make a score untrue, found before a run does.

Each issue says how many there are and names the first. Errors would stop or spoil a run; warnings are worth a look.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from hwnas.data.base import IGNORE, Dataset, Item
from hwnas.data.likeness import Likeness, look_alikes, thumbnail
from hwnas.errors import DataError
from hwnas.progress import Progress, Silent

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class LintIssue:
    """``kind`` is stable, for programs; ``first`` the first file (or class) concerned; ``message`` a sentence."""

    kind: str
    severity: Severity
    count: int
    first: str
    message: str


@dataclass(frozen=True)
class LintReport:
    """``pixels``: split → pixels of each class; ``sizes``: (height, width) → number of images, over all splits."""

    spec: str
    classes: tuple[str, ...]
    images: Mapping[str, int]
    pixels: Mapping[str, tuple[int, ...]]
    ignored: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    issues: tuple[LintIssue, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not any(issue.severity == "error" for issue in self.issues)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "spec": self.spec,
            "ok": self.ok,
            "classes": list(self.classes),
            "images": dict(self.images),
            "pixels": {split: dict(zip(self.classes, counts, strict=True)) for split, counts in self.pixels.items()},
            "ignored": dict(self.ignored),
            "sizes": {f"{height}x{width}": count for (height, width), count in self.sizes.items()},
            "issues": [vars(issue) for issue in self.issues],
        }


@dataclass(frozen=True)
class _Finding:
    """What one image and its mask showed."""

    item: Item
    size_hw: tuple[int, int] | None = None
    pixels: np.ndarray | None = None
    ignored: int = 0
    unknown: Mapping[int, int] = field(default_factory=dict)
    thumbnail: np.ndarray | None = None
    digest: str = ""
    faults: tuple[tuple[str, str], ...] = ()


class _Tally:
    """Issues of one kind, counted."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Severity], list[tuple[str, str]]] = {}

    def add(self, kind: str, severity: Severity, first: str, message: str) -> None:
        self._found.setdefault((kind, severity), []).append((first, message))

    def issues(self) -> tuple[LintIssue, ...]:
        """Errors first, in the order in which they were found."""
        order = sorted(self._found, key=lambda key: key[1] != "error")
        return tuple(
            LintIssue(kind, severity, len(self._found[kind, severity]), *self._found[kind, severity][0])
            for kind, severity in order
        )


def check_dataset(dataset: Dataset, progress: Progress | None = None) -> LintReport:
    """Read every image and mask of every split and report what is wrong with them; nothing is changed."""
    tally = _Tally()
    items = [item for split in dataset.splits for item in dataset.items(split)]
    findings = list(_inspect_all(dataset, items, progress or Silent()))
    for finding in findings:
        _judge(finding, dataset, tally)
    for split in dataset.splits:
        for path in dataset.orphans(split):
            tally.add("mask-without-image", "warning", str(path), f"{path} is a mask without an image")
    pixels = {split: _sum_pixels(findings, split, len(dataset.classes)) for split in dataset.splits}
    _judge_classes(dataset, pixels, tally)
    _judge_likeness([each for each in findings if each.thumbnail is not None], tally)
    sizes = Counter(each.size_hw for each in findings if each.size_hw)
    if len(sizes) > 1:
        listed = ", ".join(f"{height}x{width}" for (height, width), _ in sizes.most_common(4))
        other = next(each for each in findings if each.size_hw and each.size_hw != sizes.most_common(1)[0][0])
        message = f"images have {len(sizes)} different sizes ({listed}); all are resized to one"
        tally.add("mixed-sizes", "warning", _name(other.item), message)
    return LintReport(
        spec=dataset.spec,
        classes=tuple(each.name for each in dataset.classes),
        images={split: len(dataset.items(split)) for split in dataset.splits},
        pixels={split: tuple(int(count) for count in counts) for split, counts in pixels.items()},
        ignored={s: sum(each.ignored for each in findings if each.item.split == s) for s in dataset.splits},
        sizes=dict(sizes.most_common()),
        issues=tally.issues(),
    )


def _name(item: Item) -> str:
    return str(item.image or item.key)


def _inspect_all(dataset: Dataset, items: list[Item], progress: Progress) -> Iterator[_Finding]:
    with (
        ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool,
        progress.task(f"check {dataset.name}", len(items)) as task,
    ):
        for done, finding in enumerate(pool.map(lambda item: _inspect(dataset, item), items), 1):
            task.update(done)
            yield finding


def _inspect(dataset: Dataset, item: Item) -> _Finding:
    """Read one pair; whatever cannot be read is a fault, not an exception."""
    faults: list[tuple[str, str]] = []
    size_hw = pixels = shown = None
    digest = ""
    ignored, unknown = 0, {}
    try:
        image = dataset.read_image(item)
        size_hw = (image.shape[0], image.shape[1])
        shown, digest = thumbnail(image)
    except DataError as error:
        faults.append(("corrupt-image", error.message))
    if item.image is not None and item.mask is None:
        faults.append(("image-without-mask", f"{item.image} has no mask"))
    else:
        try:
            mask = dataset.read_mask(item)
            counts = np.bincount(mask.labels.ravel(), minlength=256)
            pixels = counts[: len(dataset.classes)]
            unknown = mask.unknown
            ignored = int(counts[IGNORE]) - sum(unknown.values())
            if size_hw is not None and mask.labels.shape != size_hw:
                sizes = f"{size_hw[0]}x{size_hw[1]} but its mask is {mask.labels.shape[0]}x{mask.labels.shape[1]}"
                faults.append(("size-mismatch", f"{_name(item)} is {sizes}"))
        except DataError as error:
            faults.append(("corrupt-mask", error.message))
    return _Finding(item, size_hw, pixels, ignored, unknown, shown, digest, tuple(faults))


def _judge(finding: _Finding, dataset: Dataset, tally: _Tally) -> None:
    # Test splits are often published without masks.
    severity: Severity = "warning" if finding.item.split == "test" else "error"
    where = str(finding.item.mask or finding.item.key)
    for kind, message in finding.faults:
        tally.add(kind, severity if kind == "image-without-mask" else "error", _name(finding.item), message)
    for label, count in finding.unknown.items():
        message = f"{where} has label {label} in {count} pixels, outside the map of {len(dataset.classes)} classes"
        tally.add("label-outside-map", "error", where, message)
    if finding.pixels is not None and not finding.pixels.any() and not finding.unknown:
        tally.add("empty-mask", "warning", where, f"{where} is ignored all over, so it teaches and tests nothing")


def _sum_pixels(findings: list[_Finding], split: str, classes: int) -> np.ndarray:
    total = np.zeros(classes, np.int64)
    for finding in findings:
        if finding.item.split == split and finding.pixels is not None:
            total += finding.pixels
    return total


def _judge_classes(dataset: Dataset, pixels: Mapping[str, np.ndarray], tally: _Tally) -> None:
    for split, counts in pixels.items():
        if not counts.any():
            continue
        for each, count in zip(dataset.classes, counts, strict=True):
            if not count:
                found = [other for other in pixels if pixels[other].any() and other != split]
                message = f"class {each.name} is nowhere in {split} (splits looked at: {', '.join([split, *found])})"
                tally.add("class-absent", "warning", each.name, message)


def _judge_likeness(findings: list[_Finding], tally: _Tally) -> None:
    """Images that are the same, or nearly, in two splits: a score on one of them tells memory from skill no longer."""
    images = [
        Likeness(_name(each.item), each.item.split, each.digest, each.thumbnail)
        for each in findings
        if each.thumbnail is not None
    ]
    for one, other, difference in look_alikes(images):
        if one.digest == other.digest and one.split == other.split:
            tally.add("duplicate", "warning", one.name, f"{one.name} and {other.name} are the same picture")
        elif one.digest == other.digest:
            message = f"{one.name} ({one.split}) and {other.name} ({other.split}) are the same picture"
            tally.add("duplicate-across-splits", "error", one.name, message)
        elif one.split != other.split:
            message = (
                f"{one.name} ({one.split}) and {other.name} ({other.split}) nearly agree "
                f"(mean difference {difference:.1f} of 255): neighbouring frames of a video?"
            )
            tally.add("neighbours-across-splits", "warning", one.name, message)
