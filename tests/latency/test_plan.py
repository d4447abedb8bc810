"""Planning: all keys of a space, the valuable first."""

from __future__ import annotations

import itertools

from hwnas.latency.interpolate import kind
from hwnas.latency.keys import keys_of
from hwnas.latency.plan import graph_of_row, plan


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
