"""Interpolation: exact on what the model can express, monotone, never far from neighbours, never zero."""

from __future__ import annotations

import itertools

import pytest

from hwnas.errors import TableError
from hwnas.latency.features import key_size
from hwnas.latency.interpolate import Interpolator
from hwnas.latency.keys import LatencyKey
from hwnas.ops.spec import OPS

PARAMS = OPS.get("conv_3x3").complete({"channels": 16})


def key(channels_in, channels_out, size, **params):
    return LatencyKey("conv_3x3", {**PARAMS, "channels": channels_out, **params}, ((channels_in, size, size),))


def law(k):
    size = key_size(k)
    return 0.01 + size.macs / 4e7 + (size.input_bytes + size.output_bytes) / 2e7


MEASURED = {k.text: law(k) for k in (key(a, b, s) for a in (16, 32, 64) for b in (16, 32, 64) for s in (24, 48))}


@pytest.mark.parametrize("wanted", [key(24, 48, 24), key(48, 48, 48), key(64, 128, 24), key(32, 32, 36)])
def test_a_law_of_the_model_is_met(wanted):
    assert Interpolator(MEASURED).ms(wanted) == pytest.approx(law(wanted), rel=0.02)


def test_larger_is_never_cheaper():
    model = Interpolator(MEASURED)
    times = [model.ms(key(c, c, 24)) for c in range(16, 100, 4)]
    assert all(a <= b * 1.0001 for a, b in itertools.pairwise(times))
    assert min(times) > 0


def test_values_stay_between_measured_neighbours():
    bent = {**MEASURED, key(32, 32, 24).text: law(key(32, 32, 24)) * 1.1}
    model = Interpolator(bent)
    assert model.ms(key(24, 24, 24)) <= bent[key(32, 32, 24).text]


@pytest.mark.parametrize("wanted", [key(2000, 16, 24), key(16, 16, 800), key(32, 32, 24, stride=2)])
def test_error_far_from_all_neighbours_names_the_key_and_the_way_out(wanted):
    with pytest.raises(TableError) as caught:
        Interpolator(MEASURED).ms(wanted)
    assert wanted.text in caught.value.message and "--missing" in caught.value.hint
