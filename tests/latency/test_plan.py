"""Planning: all keys of a space, the valuable first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwnas.latency import plan as module
from hwnas.latency.factor import NotFactored
from hwnas.latency.interpolate import kind
from hwnas.latency.keys import keys_of
from hwnas.latency.plan import (
    CALIBRATION_NETS,
    FEWEST_CALIBRATION_NETS,
    calibration_nets_for,
    graph_of_row,
    plan,
    space_factors,
)
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import random_decisions


def test_keys_are_exactly_those_of_all_genotypes(space, rng):
    counts = [len(choice.options) for choice in space.choices]
    exhaustive = set()
    for row in itertools.product(*map(range, counts)):
        exhaustive |= set(keys_of(graph_of_row(space, row, (64, 96), 5)).values())
    planned = plan(space, (64, 96), 5, rng, calibration_nets=4, holdout_nets=3)
    assert set(planned.keys) == exhaustive
    assert len(planned.keys) == len(exhaustive)
    assert (len(planned.calibration), len(planned.holdout)) == (4, 3)


def test_every_kind_comes_before_any_kind_comes_often(space, rng):
    planned = plan(space, (64, 96), 5, rng, calibration_nets=2, holdout_nets=1)
    kinds = [kind(key) for key in planned.keys]
    first = {each: kinds.index(each) for each in kinds}
    assert max(first.values()) < len(kinds) * 0.75


def test_nets_of_both_roles_are_interleaved(space, rng):
    roles = [role for role, _ in plan(space, (64, 96), 5, rng, calibration_nets=4, holdout_nets=2).nets]
    assert roles.count("holdout") == 2 and "holdout" in roles[:3]


def test_a_space_whose_kernels_cannot_be_listed_is_planned_from_random_nets(rng, monkeypatch):
    """A path through resolutions: known from the first contradictions, and nothing is enumerated."""
    space, size_hw = SPACES.get("auto-deeplab-small"), (64, 96)
    with pytest.raises(NotFactored, match="combinations"):
        space_factors(space, size_hw, 5, np.random.default_rng(0), most_values=module.MOST_VALUES)
    monkeypatch.setattr(module, "UNLISTED_DRAWS", 12)
    planned = plan(space, size_hw, 5, np.random.default_rng(0), calibration_nets=2, holdout_nets=1)
    assert (len(planned.calibration), len(planned.holdout)) == (2, 1)
    assert len(planned.keys) == len({key.text for key in planned.keys}) == len(planned.occurrences)
    kinds = {kind(key) for key in planned.keys}
    net = expand(space.decode(random_decisions(space, rng)).genotype, (3, *size_hw), 5)
    met = [kind(key) in kinds for key in keys_of(net).values()]
    assert sum(met) > 0.9 * len(met)


def test_a_short_profile_has_fewer_networks() -> None:
    assert calibration_nets_for(30.0) == FEWEST_CALIBRATION_NETS
    assert FEWEST_CALIBRATION_NETS < calibration_nets_for(160.0) < CALIBRATION_NETS
    assert calibration_nets_for(240.0) == calibration_nets_for(3600.0) == CALIBRATION_NETS
