"""Which pictures look alike: small grey thumbnails compared with each other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 24
THRESHOLD = 11.0
"""Mean absolute difference of thumbnails, 0..255, below which two pictures are called neighbours. In CamVid frames one
second apart have a median of 20 (a quarter are under 13), and no two unrelated ones are under 13."""

SEQUENCE_THRESHOLD = 28.0
"""The same where the names are those of neighbouring frames (unrelated pictures of CamVid differ by a median of 43)."""


@dataclass(frozen=True)
class Likeness:
    """What is compared of a picture. ``thumbnail`` is (SIDE, SIDE) float32."""

    name: str
    split: str
    digest: str
    thumbnail: np.ndarray


def thumbnail(image: np.ndarray) -> tuple[np.ndarray, str]:
    """A picture's (H, W, 3) uint8 grey thumbnail, its brightness taken out, and a digest of its every pixel."""
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest()
    small = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float32)
    return values - values.mean(), digest + str(image.shape)


def look_alikes(images: Sequence[Likeness]) -> Iterator[tuple[Likeness, Likeness, float]]:
    """Pairs that are equal, and for each picture its likest in another split if the two are neighbours.

    Neighbours differ by less than ``THRESHOLD``, or by less than ``SEQUENCE_THRESHOLD`` if their names also say that
    they follow each other in one sequence. Equal pictures are paired with the first of them. Flat pictures (a deviation
    under 2) are like everything and are compared for equality only.
    """
    first: dict[str, Likeness] = {}
    rest = []
    for image in images:
        if image.digest in first:
            yield first[image.digest], image, 0.0
        else:
            first[image.digest] = image
            if float(image.thumbnail.std()) >= 2:
                rest.append(image)
    splits = list(dict.fromkeys(image.split for image in rest))
    for place, split in enumerate(splits):
        for later in splits[place + 1 :]:
            yield from _nearest([e for e in rest if e.split == later], [e for e in rest if e.split == split])


def _nearest(these: list[Likeness], those: list[Likeness]) -> Iterator[tuple[Likeness, Likeness, float]]:
    flat = np.stack([each.thumbnail.ravel() for each in those])
    sequences, numbers, steps = _frames(those)
    for one in these:
        differences = np.abs(flat - one.thumbnail.ravel()).mean(1)
        sequence, number = frame_of(one.name)
        step = steps.get(sequence, 0.0)
        follows = (sequences == sequence) & (np.abs(numbers - number) <= 2 * step) & (step > 0)
        alike = differences < np.where(follows, SEQUENCE_THRESHOLD, THRESHOLD)
        if alike.any():
            best = int(np.where(alike, differences, np.inf).argmin())
            yield one, those[best], float(differences[best])


def _frames(images: list[Likeness]) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Each picture's sequence and number, and each sequence's usual step between numbers."""
    frames = [frame_of(each.name) for each in images]
    of: dict[str, list[int]] = {}
    for sequence, number in frames:
        of.setdefault(sequence, []).append(number)
    steps = {name: float(np.median(np.diff(sorted(found)))) for name, found in of.items() if name and len(found) > 2}
    return np.array([sequence for sequence, _ in frames]), np.array([number for _, number in frames]), steps


def frame_of(name: str) -> tuple[str, int]:
    """``"train/0016E5_07920.png"`` → ``("0016E5_", 7920)``; without a number at the end of the stem, ``("", 0)``."""
    match = re.fullmatch(r"(.*?\D)(\d{1,12})\D*", Path(name).stem)
    return (match[1], int(match[2])) if match else ("", 0)
