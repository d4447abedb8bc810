"""From a space to a table with a toy exporter and the real engine."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from hwnas.errors import TableError
from hwnas.latency.bundle import write_bundle
from hwnas.latency.measure import Setting, measure_bundle, read_lines
from hwnas.latency.model import TableModel
from hwnas.latency.plan import plan
from hwnas.latency.profile import measure_in_process, profile
from hwnas.latency.summary import summarise
from hwnas.latency.table import load_table
from hwnas.progress import Silent
from hwnas.skeletons.base import expand


class Told(Silent):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def made(space, exporter, rng, path, progress=None, **settings):
    given = {"setting": Setting("onnxruntime"), "seconds_limit": 7.0, "calibration_nets": 6, "holdout_nets": 3}
    return profile(
        space,
        (64, 96),
        5,
        export_ops=exporter.export_ops,
        assemble=exporter.assemble,
        out_path=path,
        progress=progress or Silent(),
        rng=rng,
        **{**given, **settings},
    )


def test_a_space_becomes_a_calibrated_table(space, exporter, rng, tmp_path):
    told = Told()
    table = made(space, exporter, rng, tmp_path / "t.json", told)
    assert load_table(tmp_path / "t.json") == table
    assert table.complete and table.coverage["nets"] == (9, 9)
    assert table.accuracy["calibrated"].nets == 3 and table.calibration.nets == 6
    assert table.contract.engine == "onnxruntime" and table.contract.clock == "cpu"
    assert table.percentiles["p99"] >= table.percentiles["p90"] >= 1.0
    assert any("unseen nets" in line for line in told.lines)
    graph = expand(space.decode(space.sample(rng)).genotype, (3, 64, 96), 5)
    assert TableModel(table).predict(graph).latency_ms > 0
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_the_time_limit_leaves_out_and_says_so(space, exporter, rng, tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.latency.bundle.CHUNK", 12)
    monkeypatch.setattr("hwnas.latency.profile.LEAST_MEASURE_S", 0.5)
    told = Told()
    start = time.monotonic()
    table = made(space, exporter, rng, tmp_path / "t.json", told, seconds_limit=0.1)
    assert time.monotonic() - start < 15
    assert not table.complete
    assert any("did not suffice" in line for line in told.lines)


def test_kernels_that_cannot_be_built_are_named_in_the_table(space, exporter, rng, tmp_path):
    exporter.broken = "basic_block"
    table = made(space, exporter, rng, tmp_path / "t.json")
    assert table.failures and all(text.startswith("basic_block") for text in table.failures)


def test_an_interrupted_profile_goes_on(space, exporter, rng, tmp_path):
    folder = tmp_path / "t.json.work"
    planned = plan(space, (64, 96), 5, rng, calibration_nets=6, holdout_nets=3)
    write_bundle(planned, folder / "bundle.zip", exporter.export_ops, exporter.assemble, Silent())
    measure_bundle(folder / "bundle.zip", folder / "measured.jsonl", passes=1, seconds=5)
    exported = exporter.exported
    told = Told()
    table = made(space, exporter, rng, tmp_path / "t.json", told)
    assert exporter.exported == exported and "going on" in told.lines[0]
    assert table.complete


def test_a_crash_of_the_engine_costs_one_kernel(space, exporter, rng, tmp_path):
    planned = plan(space, (64, 96), 5, rng, calibration_nets=2, holdout_nets=0)
    bundle = write_bundle(planned, tmp_path / "b.zip", exporter.export_ops, exporter.assemble, Silent())
    victim = list(bundle.keys)[3]
    source = tmp_path / "measure.py"
    from hwnas.latency import measure

    text = Path(measure.__file__).read_text(encoding="utf-8")
    crash = f'if job.name == "{victim}" and not sys.argv.count("--crashed"): os.abort()'
    place = "        try:\n            opened = self.adapter.open(self.archive.read(job.file)"
    assert place in text
    source.write_text(text.replace(place, f"        {crash}\n{place}"))
    measure_in_process(
        bundle.path,
        tmp_path / "m.jsonl",
        setting=Setting("onnxruntime"),
        program=[str(source)],
        seconds=6,
        progress=Silent(),
        passes=1,
    )
    summary = summarise(tmp_path / "m.jsonl", [net.name for net in bundle.nets])
    assert list(summary.failures) == [victim]
    assert len(summary.timings) == len(bundle.keys) + 2 - 1


def test_error_on_measurements_with_a_time_that_is_none(space, exporter, rng, tmp_path):
    planned = plan(space, (64, 96), 5, rng, calibration_nets=1, holdout_nets=0)
    bundle = write_bundle(planned, tmp_path / "b.zip", exporter.export_ops, exporter.assemble, Silent())
    out = tmp_path / "m.jsonl"
    measure_bundle(bundle.path, out, passes=1, seconds=5)
    lines = read_lines(out)
    for value in (-1.0, 0.0, float("nan")):
        lines[4]["cpu_ms"][0] = value
        out.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(TableError, match="not positive"):
            summarise(out, [])
