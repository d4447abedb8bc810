"""Tables: to a file and back, and every way in which a file can be wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hwnas.errors import TableError
from hwnas.latency.contract import TimingContract
from hwnas.latency.table import (
    Accuracy,
    Calibration,
    Entry,
    LatencyTable,
    accuracy_of,
    check_setting,
    load_table,
    save_table,
    table_to_dict,
)

CONTRACT = TimingContract("Some CPU", 2, "onnxruntime", "1.31.1", "fp32", 1, (360, 480))
TABLE = LatencyTable(
    CONTRACT,
    {"add()@8x4x4+8x4x4": Entry(0.01, 0.02), "relu()@8x4x4": Entry(0.5)},
    Calibration({"net:": 0.1}, {"net": 0.05}, 0.01, 3, (0.01, -0.02)),
    {"naive": Accuracy(3, 0.1, 0.3, 0.6, 0.8, 0.02)},
    {"kernel": 0.01, "net": 0.005},
    {"p90": 1.02, "p99": 1.1},
    {"kernels": (2, 3), "nets": (3, 3)},
    {"concat()@8x4x4": "no such kernel"},
    {"space": "tiny"},
)


@pytest.fixture
def document():
    return table_to_dict(TABLE)


def test_round_trip(tmp_path):
    save_table(TABLE, tmp_path / "t.json")
    assert load_table(tmp_path / "t.json") == TABLE
    assert not TABLE.complete


@pytest.mark.parametrize("keep", [0, 1, 100, 600])
def test_error_on_a_truncated_file(tmp_path, keep):
    path = tmp_path / "t.json"
    save_table(TABLE, path)
    path.write_text(path.read_text()[:keep])
    with pytest.raises(TableError, match=r"t\.json"):
        load_table(path)


def test_error_on_duplicate_keys(tmp_path, document):
    text = json.dumps(document).replace('"relu()@8x4x4"', '"add()@8x4x4+8x4x4"')
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(TableError, match="twice"):
        load_table(tmp_path / "t.json")


@pytest.mark.parametrize("value", ["NaN", "-1.0", "0.0", "Infinity", '"fast"', "null"])
def test_error_on_a_time_that_is_none(tmp_path, document, value):
    (tmp_path / "t.json").write_text(json.dumps(document).replace("[0.5, 0.0]", f"[{value}, 0.0]"))
    with pytest.raises(TableError):
        load_table(tmp_path / "t.json")


@pytest.mark.parametrize("change", [{"schema_version": 99}, {"format": "other"}, {"entries": []}, {"contract": {}}])
def test_error_on_a_foreign_or_newer_document(tmp_path, document, change):
    (tmp_path / "t.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(TableError):
        load_table(tmp_path / "t.json")


def test_another_setting_is_refused_naming_the_field_unless_forced():
    other = replace(CONTRACT, engine_version="1.30.0", date="today")
    with pytest.raises(TableError, match=r"engine_version: 1\.31\.1 in the table, 1\.30\.0 here"):
        check_setting(TABLE, other)
    check_setting(TABLE, other, force=True)
    check_setting(TABLE, replace(CONTRACT, date="today"))


def test_accuracy_figures():
    accuracy = accuracy_of([1.0, 2.18, 2.9], [1.0, 2.0, 3.0])
    assert accuracy.mape == pytest.approx((0.09 + 0.1 / 3) / 3)
    assert accuracy.within_5 == pytest.approx(2 / 3)
    assert accuracy.within_10 == 1.0 and accuracy.kendall_tau == 1.0
    assert accuracy_of([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]).kendall_tau == -1.0
