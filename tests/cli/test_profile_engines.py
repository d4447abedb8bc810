"""``hwnas profile`` in another engine and precision: what is made, recorded, and refused elsewhere."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from small_world import SIZE, SPACE

from hwnas.cli.options import parse_pin
from hwnas.cli.stages.profiling import check_machine
from hwnas.cli.tables import check_usable_here, this_setting
from hwnas.errors import HwnasError, TableError
from hwnas.latency.measure import Setting
from hwnas.latency.table import Entry, LatencyTable, load_table

HERE = Setting("onnxruntime")
SIZE_HW = (64, 96)
KEY = "conv_3x3(activation='relu',channels=8,dilation=1,groups=1,stride=1)@6x20x30"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "bundle.zip"
    words = ["--space", SPACE, "--size", SIZE, "--classes", "2", "--calibration-nets", "1", "--holdout-nets", "0"]
    planned = run("profile", "plan", *words, "--precision", "int8", "-o", path)
    assert planned.code == 0, planned.said
    assert planned.document["graphs"] == "int8"
    return path


def test_the_setting_is_recorded(bundle: Path, tmp_path: Path) -> None:
    core = sorted(os.sched_getaffinity(0))[0]
    out = tmp_path / "table.json"
    measured = run("profile", "measure", bundle, "--pin", str(core), "--minutes", "0.15", "-o", out)
    assert measured.code == 0, measured.said
    contract = load_table(out).contract
    assert (contract.engine, contract.precision, contract.batch) == ("onnxruntime", "int8", 1)
    assert contract.pinned == (() if os.cpu_count() == 1 else (core,))
    assert not load_table(out).failures


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("--precision", "fp32"), "holds int8 graphs, and fp32 in onnxruntime needs fp32 graphs", "profile plan"),
        (("--engine", "torch-eager"), "needs torch graphs", "--engine torch-eager --precision fp32"),
        (("--engine", "onnxruntim"), "there is no engine 'onnxruntim' to time", "openvino"),
        (("--pin", "9999"), "core 9999 cannot be used here", "there are: "),
        (("--pin", "one"), "does not name cores", "--pin 0,1"),
    ],
)
def test_what_does_not_fit_is_refused(
    bundle: Path, tmp_path: Path, words: tuple[str, ...], said: str, hint: str
) -> None:
    ended = run("profile", "measure", bundle, *words, "-o", tmp_path / "t.json")
    assert ended.code == 2
    assert said in ended.document["error"] and hint in ended.document["hint"]
    assert not (tmp_path / "t.json").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("engine", "openvino"), ("precision", "int8"), ("batch", 4), ("threads", 2)]
)
def test_a_table_of_another_setting_is_refused_with_the_field(name: str, value: object) -> None:
    contract = replace(this_setting(SIZE_HW, HERE), **{name: value})
    table = LatencyTable(contract, {KEY: Entry(1.0)})
    with pytest.raises(TableError, match=rf"\({name}: {value} in the table"):
        check_usable_here(table, SIZE_HW, HERE, force=False)
    check_usable_here(table, SIZE_HW, HERE, force=True)


def test_more_of_a_table_is_timed_on_the_cores_that_it_was_timed_on() -> None:
    contract = this_setting(SIZE_HW, HERE)
    check_machine(LatencyTable(replace(contract, pinned=(0,)), {KEY: Entry(1.0)}))
    with pytest.raises(TableError, match="device: Else in the table"):
        check_machine(LatencyTable(replace(contract, device="Else"), {KEY: Entry(1.0)}))


def test_cores_are_read_in_order_and_once() -> None:
    core = sorted(os.sched_getaffinity(0))[-1]
    assert parse_pin(f"{core},{core}") == (core,)
    assert parse_pin(None) == ()
    with pytest.raises(HwnasError):
        parse_pin("")
