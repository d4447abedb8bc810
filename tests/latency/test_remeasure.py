"""Adding what a table lacks, and checking that it still holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwnas.errors import TableError
from hwnas.latency.plan import plan
from hwnas.latency.profile import profile
from hwnas.latency.remeasure import drift_of, with_missing
from hwnas.progress import Silent


@pytest.fixture
def table(space, exporter, rng, tmp_path):
    return profile(
        space,
        (64, 96),
        5,
        threads=1,
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
