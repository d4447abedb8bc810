"""Spaces with fewer options decode like the whole ones and are spaces themselves."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.spaces.base import SPACES, Choice
from hwnas.spaces.decisions import check, size
from hwnas.spaces.narrowed import NarrowedSpace, options_in_use

SPACE = SPACES.get("realtime")


def test_only_allowed_options_are_left_and_decode_alike() -> None:
    narrowed = NarrowedSpace(SPACE, {"stage4.width": (64, 112), "dilate": (False,)})
    assert size(narrowed) == size(SPACE) * 2 // 4 // 2
    rng = np.random.default_rng(0)
    for _ in range(50):
        decisions = narrowed.sample(rng)
        check(SPACE, decisions)
        assert decisions["stage4.width"] in (64, 112) and decisions["dilate"] is False
        assert narrowed.decode(decisions) == SPACE.decode(decisions)


def test_options_in_use_are_those_that_samples_have() -> None:
    samples = [{"stage4.width": 64}] * 60 + [{"stage4.width": 112}] * 39 + [{"stage4.width": 208}]
    allowed = options_in_use(SPACE, samples, min_share=0.02)
    assert allowed["stage4.width"] == (64, 112)
    assert allowed["context"] == next(choice for choice in SPACE.choices if choice.name == "context").options


def test_no_option_is_dropped_that_so_few_samples_cannot_judge() -> None:
    crnas, rng = SPACES.get("crnas"), np.random.default_rng(0)
    samples = [crnas.sample(rng) for _ in range(400)]
    assert len({sample["allocation"] for sample in samples}) < 153, "some were never drawn"
    allowed = options_in_use(crnas, samples)
    assert len(allowed["allocation"]) == 153
    assert all(len(options) == 3 for name, options in allowed.items() if name != "allocation")
    few = [{"stage1.depth": 3, "stage1.block3": "conv_3x3"}] * 29
    assert len(options_in_use(SPACE, few)["stage1.block3"]) == 6
    assert options_in_use(SPACE, [*few, few[0]])["stage1.block3"] == ("conv_3x3",)


def test_of_many_options_those_are_dropped_that_hardly_any_sample_has() -> None:
    choice = Choice("way", tuple(range(40)))
    space = NarrowedSpace(SPACE, {})
    space.choices = (choice,)
    samples = [{"way": place % 39} for place in range(390)] + [{"way": 39}]
    assert options_in_use(space, samples)["way"] == choice.options, "a tenth of an equal share, not 1%"
    assert options_in_use(space, samples[:-1])["way"] == choice.options[:-1]


def test_error_when_nothing_is_left() -> None:
    with pytest.raises(HwnasError, match="without options"):
        NarrowedSpace(SPACE, {"dilate": ()})
