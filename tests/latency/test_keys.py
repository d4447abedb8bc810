"""Latency keys: text and parse are inverse, keys ignore names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.errors import TableError
from hwnas.latency.keys import LatencyKey, parse_key

VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name.isidentifier())
SHAPES = st.tuples(*[st.integers(1, 2000)] * 3)


@given(
    NAMES,
    st.dictionaries(st.sampled_from(["channels", "stride", "bins", "activation"]), VALUES),
    st.lists(SHAPES, min_size=1, max_size=4),
)
def test_parse_is_the_inverse_of_text(op, params, shapes):
    key = LatencyKey(op, params, tuple(shapes))
    again = parse_key(key.text)
    assert again == key and again.text == key.text
    assert dict(again.params) == dict(key.params) and again.input_shapes == key.input_shapes


def test_text_is_sorted_and_readable():
    key = LatencyKey("mbconv_e6_k5", {"stride": 2, "channels": 64, "dilation": 1}, ((24, 90, 120),))
    assert key.text == "mbconv_e6_k5(channels=64,dilation=1,stride=2)@24x90x120"
    assert LatencyKey("add", {}, ((8, 4, 4), (8, 4, 4))).text == "add()@8x4x4+8x4x4"


def test_true_and_one_are_different_parameters():
    assert LatencyKey("a", {"p": True}, ((1, 1, 1),)) != LatencyKey("a", {"p": 1}, ((1, 1, 1),))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "conv",
        "conv()",
        "conv(a=)@1x2x3",
        "conv(3)@1x2x3",
        "conv(a=b)@1x2x3",
        "conv(a=__import__('os'))@1x2x3",
        "conv(**{})@1x2x3",
        "conv(a={1})@1x2x3",
    ],
)
def test_error_on_text_that_is_not_a_key(text):
    with pytest.raises(TableError):
        parse_key(text)
