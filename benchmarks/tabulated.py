"""The tabulated benchmark that ``build_tabulated.py`` builds and ``strategies.py`` searches: its space and its file.

The space is a part of ``realtime`` so small that all of it can be scored: 14,580 genotypes, of which a part of 324 is
trained. Whatever a strategy proposes within it is therefore in the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.files import read_json
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES, Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, is_active
from hwnas.spaces.narrowed import NarrowedSpace

FILE = "benchmark.json"
FIDELITIES = (1 / 3, 2 / 3, 1.0)
"""1×, 2× and 3× the epochs; each training goes on from the one before."""

FREE: Mapping[str, tuple[Value, ...]] = {
    "stage2.width": (32, 48, 80),
    "stage2.block1": ("conv_3x3", "ds_conv_3x3", "mbconv_e4_k3"),
    "stage3.width": (48, 80, 144),
    "stage3.depth": (1, 2, 3),
    "stage3.block1": ("conv_3x3", "ds_conv_3x3", "mbconv_e4_k3"),
    "stage3.block2": ("conv_3x3", "ds_conv_3x3", "mbconv_e2_k3"),
    "stage3.block3": ("conv_3x3", "mbconv_e2_k3"),
    "stage4.width": (64, 112, 208),
    "context": ("conv_1x1", "lraspp", "pyramid_pool"),
    "head.width": (32, 64),
}
FIXED: Mapping[str, Value] = {
    "stem.width": 16,
    "stage1.width": 32,
    "stage1.depth": 1,
    "stage1.block1": "ds_conv_3x3",
    "stage2.depth": 1,
    "stage4.depth": 1,
    "stage4.block1": "mbconv_e4_k3",
    "dilate": False,
    "head.stride": 8,
    "fuse16": "add",
    "fuse16.refine": "skip_connect",
    "head.fuse": "add",
    "head.refine": "skip_connect",
}
TRAINED: Mapping[str, tuple[Value, ...]] = {
    "stage2.width": (48,),
    "stage2.block1": ("ds_conv_3x3",),
    "stage3.depth": (1, 2),
    "stage3.block2": ("conv_3x3", "mbconv_e2_k3"),
    "context": ("conv_1x1", "lraspp"),
}
"""What is left of the free options where every genotype is trained."""


def scored_space() -> SearchSpace:
    """The part of ``realtime`` that is scored."""
    fixed = {name: (value,) for name, value in FIXED.items()}
    return NarrowedSpace(SPACES.get("realtime"), {**FREE, **fixed})


def trained_space() -> SearchSpace:
    """The part of it that is trained."""
    return NarrowedSpace(scored_space(), TRAINED)


def everything(space: SearchSpace) -> list[dict[str, Value]]:
    """All canonical decisions of a small space."""
    return list(_completions(list(space.choices), {}))


def _completions(choices: list[Choice], decided: dict[str, Value]) -> Iterator[dict[str, Value]]:
    if not choices:
        yield decided
    elif is_active(choices[0], decided):
        for option in choices[0].options:
            yield from _completions(choices[1:], {**decided, choices[0].name: option})
    else:
        yield from _completions(choices[1:], decided)


def key_of(space: SearchSpace, decisions: Decisions) -> str:
    """What a genotype is called in the file: its free choices as JSON."""
    return json.dumps({name: value for name, value in canonical(space, decisions).items() if name in FREE})


@dataclass(frozen=True)
class Item:
    """One genotype: costs, the supernet's score (or None), and mIoU after each of the three trainings (or none)."""

    costs: Mapping[str, float]
    score: float | None
    trained: tuple[float, ...] = ()


def load(folder: Path) -> dict[str, Item]:
    """The items of a benchmark file, by key."""
    document = read_json(folder / FILE, "tabulated benchmark")
    names = document["costs"]
    return {
        key: Item(dict(zip(names, entry["costs"], strict=True)), entry["score"], tuple(entry["trained"]))
        for key, entry in document["items"].items()
    }


class Lines:
    """A file of JSON lines that is added to; a line that was cut off is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Any] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            self.rows[row["key"]] = row
        path.write_text("".join(json.dumps(row) + "\n" for row in self.rows.values()))

    def add(self, key: str, **values: Any) -> None:
        self.rows[key] = {"key": key, **values}
        with self.path.open("a") as stream:
            stream.write(json.dumps(self.rows[key]) + "\n")
