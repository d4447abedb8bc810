"""Adding what a table lacks, and checking that it still holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwnas.errors import TableError
from hwnas.latency.contract import TimingContract
from hwnas.latency.measure import Setting
from hwnas.latency.plan import plan
from hwnas.latency.profile import profile
from hwnas.latency.remeasure import drift_of, stratified, with_missing
from hwnas.latency.table import Entry, LatencyTable
from hwnas.progress import Silent


@pytest.fixture
def table(space, exporter, rng, tmp_path):
    return profile(
        space,
        (64, 96),
        5,
        setting=Setting("onnxruntime"),
        seconds_limit=3.0,
        export_ops=exporter.export_ops,
        assemble=exporter.assemble,
        out_path=tmp_path / "t.json",
        progress=Silent(),
        rng=rng,
        calibration_nets=1,
        holdout_nets=1,
    )


def test_only_what_lacks_is_timed(space, exporter, rng, table):
    keys = plan(space, (64, 96), 5, rng, calibration_nets=1, holdout_nets=0).keys
    holed = replace(table, entries={key.text: table.entries[key.text] for key in keys[5:] if key.text in table.entries})
    before = exporter.exported
    whole = with_missing(holed, keys, export_ops=exporter.export_ops, progress=Silent(), seconds_limit=5.0)
    assert set(whole.entries) == {key.text for key in keys}
    assert exporter.exported - before == len(keys) - len(holed.entries)
    assert all(whole.entries[text] == entry for text, entry in holed.entries.items())


def test_nothing_to_do_changes_nothing(exporter, table):
    assert with_missing(table, [], export_ops=exporter.export_ops, progress=Silent(), seconds_limit=1.0) is table


def test_another_setting_is_refused(exporter, table):
    other = replace(table, contract=replace(table.contract, device="Other CPU"))
    with pytest.raises(TableError, match="device"):
        drift_of(other, export_ops=exporter.export_ops, progress=Silent(), seconds_limit=2.0, kernels=3)


def test_drift_is_near_one_on_the_same_machine(exporter, table):
    drift = drift_of(table, export_ops=exporter.export_ops, progress=Silent(), seconds_limit=3.0, kernels=6)
    assert drift.kernels == 6
    assert 0.3 < drift.median < 3.0


def test_the_sample_has_every_large_family_and_all_speeds():
    times = {f"relu()@{c}x4x4": c / 100 for c in range(1, 41)} | {
        f"add()@{c}x4x4+{c}x4x4": c / 10 for c in range(1, 21)
    }
    contract = TimingContract("Some CPU", 2, "onnxruntime", "1.0", "fp32", 1, (64, 96))
    made = LatencyTable(contract, {text: Entry(ms) for text, ms in times.items()})
    sample = stratified(made, 6)
    assert [key.op for key in sample].count("relu") == 4 and len(sample) == len({key.text for key in sample}) == 6
    relus = sorted(times[key.text] for key in sample if key.op == "relu")
    assert relus[0] <= 0.10 and relus[-1] >= 0.31
    assert len(stratified(made, 1000)) == len(times)
    assert stratified(replace(made, entries={}), 5) == []
