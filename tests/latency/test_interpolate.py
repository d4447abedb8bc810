"""Interpolation: exact on what the model can express, monotone, never far from neighbours, never zero."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def disordered(seed):
    """Measured times with errors of up to a tenth, so that some larger kernels came out cheaper than smaller ones."""
    rng = np.random.default_rng(seed)
    return {text: ms * rng.uniform(0.9, 1.1) for text, ms in MEASURED.items()}


@settings(deadline=None)
@given(
    seed=st.integers(0, 5),
    small=st.tuples(st.integers(8, 128), st.integers(8, 128), st.integers(14, 80)),
    more=st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 30)),
)
def test_more_channels_or_pixels_never_cost_less(seed, small, more):
    """Inside the measured range, beyond it, and between measurements that contradict each other."""
    larger = tuple(a + b for a, b in zip(small, more, strict=True))
    model = disordered_model(seed)
    try:
        times = model.ms(key(*small)), model.ms(key(*larger))
    except TableError:
        return  # too far from all that was measured
    assert 0 < times[0] <= times[1] * (1 + 1e-9)


@functools.cache
def disordered_model(seed):
    return Interpolator(disordered(seed))


@pytest.mark.parametrize("left_out", [key(32, 32, 24), key(16, 64, 48), key(64, 64, 24)])
def test_what_was_left_out_is_met(left_out):
    rest = {text: ms for text, ms in MEASURED.items() if text != left_out.text}
    assert Interpolator(rest).ms(left_out) == pytest.approx(law(left_out), rel=0.05)


def test_more_inputs_count_all_their_channels():
    def concat(first, second):
        return LatencyKey("concat", OPS.get("concat").complete({}), ((first, 24, 24), (second, 24, 24)))

    measured = {concat(a, b).text: 1e-3 * (a + b) for a in (16, 64) for b in (16, 64)}
    assert Interpolator(measured).ms(concat(16, 48)) == pytest.approx(0.064, rel=0.1)
