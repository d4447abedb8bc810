"""A search space, a latency table and a data set so small that whole commands take seconds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwnas.cli.stages.validating import judge
from hwnas.cli.tables import this_setting
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.latency.features import rough_cost
from hwnas.latency.keys import LatencyKey
from hwnas.latency.measure import Setting
from hwnas.latency.plan import space_factors
from hwnas.latency.profile import profile
from hwnas.latency.table import Entry, LatencyTable
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

SIZE_HW = (64, 96)
SIZE = "64x96"
SPACE = "small-world"
DECISIONS = {"stem": 8, "width": 16, "depth": 1, "block1": "conv_3x3", "fuse": False}
"""Of one network of the space."""
FASTEST_MS = 0.05
"""More than this is needed by every genotype of the space, by the synthetic table."""


class SmallWorld:
    """Two stages with one or two blocks, and a decoder that may take the first stage in."""

    name = SPACE
    choices = (
        Choice("stem", (8, 16)),
        Choice("width", (16, 32)),
        Choice("depth", (1, 2)),
        Choice("block1", ("conv_3x3", "mbconv_e2_k3")),
        Choice("block2", ("conv_3x3", "basic_block"), {"depth": (2,)}),
        Choice("fuse", (False, True)),
    )

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        blocks = [Node("block1", str(decisions["block1"]), ("x",))]
        if decisions["depth"] == 2:
            blocks.append(Node("block2", str(decisions["block2"]), ("block1",)))
        stage = Cell.of(["x"], blocks, blocks[-1].name)
        decoder = [Node("context", "conv_1x1", ("stage2",))]
        if decisions["fuse"]:
            decoder += [Node("lateral", "conv_1x1", ("stage1",)), Node("fused", "add", ("context", "lateral"))]
        inputs = ["stage2", "stage1"] if decisions["fuse"] else ["stage2"]
        params: dict[str, Value] = {
            "stem_width": decisions["stem"],
            "widths": (16, decisions["width"]),
            "head_width": 16,
            "dilated_stages": 0,
        }
        cells = {"stage1": stage, "stage2": stage, "decoder": Cell.of(inputs, decoder, decoder[-1].name)}
        return Candidate(Genotype(SPACE, "encoder_decoder", cells, params))


SPACES.register(SPACE, SmallWorld())


def synthetic_table(classes: int, space: str = SPACE) -> LatencyTable:
    """Made-up times, in proportion to a kernel's work, for every kernel of the space; labelled as this machine's."""
    factors = space_factors(SPACES.get(space), SIZE_HW, classes, np.random.default_rng(0))
    keys = [key for key in factors.expected_counts() if isinstance(key, LatencyKey)]
    entries = {key.text: Entry(0.01 + rough_cost(key) / 1e8) for key in keys}
    return LatencyTable(
        this_setting(SIZE_HW, Setting("onnxruntime")),
        entries,
        percentiles={"p90": 1.1, "p99": 1.3},
        coverage={"kernels": (len(entries), len(entries)), "nets": (0, 0)},
        provenance={"synthetic": "made up for a test"},
    )


def folder_data(root: Path, *, train: int = 12, val: int = 4) -> str:
    """A data set of two classes, the upper and the lower part of a noisy picture; returns its spec."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for index in range(count):
            mask = np.zeros(SIZE_HW, np.uint8)
            mask[int(rng.integers(16, 48)) :] = 1
            picture = np.stack([90 + 80 * mask] * 3, -1) + rng.integers(0, 60, (*SIZE_HW, 3))
            Image.fromarray(picture.astype(np.uint8)).save(root / "images" / split / f"{index:02}.png")
            Image.fromarray(mask).save(root / "masks" / split / f"{index:02}.png")
    (root / "classes.txt").write_text("sky\nroad\n")
    return f"folder:{root}"


def shorten_timing(patch: pytest.MonkeyPatch) -> None:
    """Fewer nets in a profile, so that all kernels are timed on a busy machine, too; a moment for the verdict."""
    assert profile.__kwdefaults__ is not None and judge.__kwdefaults__ is not None
    patch.setitem(profile.__kwdefaults__, "calibration_nets", 8)
    patch.setitem(profile.__kwdefaults__, "holdout_nets", 4)
    patch.setitem(judge.__kwdefaults__, "seconds", 0.5)


def snapshot(root: Path) -> dict[str, str]:
    """Every file below ``root`` and the digest of its bytes."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
