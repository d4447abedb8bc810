"""One plan for several spaces."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.errors import GenotypeError, TableError
from hwnas.latency.plan import plan
from hwnas.latency.union import plan_union


class Wide:
    """Another space, whose stem is wider than any of the tiny one."""

    name = "wide"

    def __init__(self, tiny):
        self.tiny = tiny
        self.choices = tiny.choices

    def sample(self, rng):
        return self.tiny.sample(rng)

    def decode(self, decisions):
        return self.tiny.decode({**decisions, "stem": 24})


def test_union_has_every_key_once_and_nets_of_each(space):
    rng = np.random.default_rng(0)
    wide = Wide(space)
    both = plan_union([space, wide], (64, 96), 5, rng, calibration_nets=5, holdout_nets=2)
    apart = [plan(each, (64, 96), 5, rng, calibration_nets=0, holdout_nets=0) for each in (space, wide)]
    assert {key.text for key in both.keys} == {key.text for each in apart for key in each.keys}
    assert len({key.text for key in both.keys}) == len(both.keys) == len(both.occurrences)
    stems = [net.params["stem_width"] == 24 for net in both.calibration]
    assert len(stems) == 5 and sum(stems) == 2 and stems[:2] == [False, True]
    assert len(both.holdout) == 2 and both.space == "all"


def test_union_of_one_has_its_keys(space):
    rng = np.random.default_rng(0)
    alone = plan_union([space], (64, 96), 5, rng, calibration_nets=1, holdout_nets=1)
    keys = plan(space, (64, 96), 5, rng, calibration_nets=1, holdout_nets=1).keys
    assert {key.text for key in alone.keys} == {key.text for key in keys}


def test_a_space_without_networks_of_this_size_is_left_out_and_said(space):
    class Large(Wide):
        name = "large"

        def decode(self, decisions):
            raise GenotypeError("too small")

    said = []
    some = plan_union([space, Large(space)], (64, 96), 5, np.random.default_rng(0), calibration_nets=2, say=said.append)
    assert some.keys and said == ["left out: space large, too small"]
    with pytest.raises(TableError, match="no space has networks of 64x96"):
        plan_union([Large(space)], (64, 96), 5, np.random.default_rng(0))
