"""Samples of a feasible space are feasible, canonical and differ from the pool."""

from __future__ import annotations

import numpy as np

from hwnas.search.feasible import FeasibleSpace
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import canonical, check

SPACE = SPACES.get("realtime")


def depth(decisions: dict) -> int:
    return sum(decisions[f"stage{stage}.depth"] for stage in range(1, 5))


def test_samples_are_feasible_and_spread() -> None:
    rng = np.random.default_rng(0)
    smallest = {choice.name: choice.options[0] for choice in SPACE.choices}
    pool = [canonical(SPACE, smallest)]
    space = FeasibleSpace(SPACE, pool, lambda decisions: depth(decisions) <= 5)
    samples = [space.sample(rng) for _ in range(200)]
    for sample in samples:
        check(SPACE, sample)
        assert canonical(SPACE, sample) == sample
        assert depth(sample) <= 5
        assert space.decode(sample) == SPACE.decode(sample)
    assert len({tuple(sample.items()) for sample in samples}) > 150


def test_the_same_generator_gives_the_same_samples() -> None:
    smallest = {choice.name: choice.options[0] for choice in SPACE.choices}
    space = FeasibleSpace(SPACE, [canonical(SPACE, smallest)], lambda decisions: True)
    first, second = (
        [space.sample(rng) for _ in range(5)] for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert first == second
