"""Timing contracts: which fields forbid a comparison, and the way to JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hwnas.errors import TableError
from hwnas.latency.contract import TimingContract, compare

CONTRACT = TimingContract("Some CPU", 2, "onnxruntime", "1.31.1", "fp32", 1, (360, 480))


def test_json_round_trip():
    assert TimingContract.from_dict(json.loads(json.dumps(CONTRACT.to_dict()))) == CONTRACT


def test_records_do_not_forbid_a_comparison():
    other = replace(CONTRACT, date="2026-01-01", runs=7, clock="wall", reference_drift=0.1)
    compare(CONTRACT, other)
    assert CONTRACT.differences(other) == []


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 2},
        {"engine_version": "1.30"},
        {"size_hw": (720, 960)},
        {"device": "Other CPU"},
        {"precision": "int8"},
        {"inside": ()},
    ],
)
def test_comparison_is_refused_naming_the_field(change):
    (name,) = change
    assert CONTRACT.differences(replace(CONTRACT, **change)) == [name]
    with pytest.raises(TableError, match=name):
        compare(CONTRACT, replace(CONTRACT, **change))


def test_error_on_an_unknown_or_missing_field():
    with pytest.raises(TableError, match="colour"):
        TimingContract.from_dict({**CONTRACT.to_dict(), "colour": 1})
    with pytest.raises(TableError, match="device"):
        TimingContract.from_dict({"cores": 2})


def test_the_reference_kernel_says_how_much_slower_the_machine_is() -> None:
    def timed(reference_ms: float, **setting: object) -> TimingContract:
        return replace(CONTRACT, reference_ms=reference_ms, **setting)

    assert timed(1.2).slowdown_since(timed(1.0)) == pytest.approx(0.2)
    assert timed(0.9, precision="int8").slowdown_since(timed(1.0)) == pytest.approx(-0.1)
    assert timed(1.2).slowdown_since(timed(0.0)) is None and timed(0.0).slowdown_since(timed(1.0)) is None
    for other in ({"device": "b"}, {"engine": "f"}, {"threads": 2}):
        assert timed(1.2).slowdown_since(timed(1.0, **other)) is None
