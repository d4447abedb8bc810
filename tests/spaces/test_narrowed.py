"""Spaces with fewer options decode like the whole ones and are spaces themselves."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.spaces.base import SPACES
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


def test_error_when_nothing_is_left() -> None:
    with pytest.raises(HwnasError, match="without options"):
        NarrowedSpace(SPACE, {"dilate": ()})
