"""Genotypes within reach: the bound is one that no engine beats, and draws keep to it."""

from __future__ import annotations

from itertools import islice

import pytest

from hwnas.cli.stages.reach import within_reach
from hwnas.compiler.cost import cost_of
from hwnas.exporters.peak import peak_macs_per_ms
from hwnas.latency.measure import Setting
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES

SPACE = SPACES.get("realtime")


def test_draws_have_at_most_the_multiplications_that_fit() -> None:
    draws = within_reach(SPACE, (96, 128), 5, macs_per_ms=1e7, limit_ms=4.0, seed=0)
    macs = [cost_of(expand(SPACE.decode(each).genotype, (3, 96, 128), 5)).macs for each in islice(draws, 40)]
    assert max(macs) <= 4e7
    assert min(macs) < 2e7


def test_a_bound_that_nothing_meets_gives_the_nearest() -> None:
    draws = list(islice(within_reach(SPACE, (96, 128), 5, macs_per_ms=1e7, limit_ms=1e-6, seed=0), 3))
    assert len(draws) == 3


def test_the_peak_is_faster_than_a_real_network() -> None:
    peak = peak_macs_per_ms(Setting("onnxruntime"), seconds=0.2)
    assert 1e5 < peak < 1e10
    assert peak == pytest.approx(peak_macs_per_ms(Setting("onnxruntime"), seconds=0.2), rel=0.8)
