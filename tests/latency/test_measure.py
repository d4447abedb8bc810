"""Timing: against callables whose cost is known, journals that were interrupted or damaged, the file run alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from hwnas.latency import measure
from hwnas.latency.bundle import write_bundle
from hwnas.latency.measure import Journal, MeasureError, measure_bundle, read_lines, time_callable
from hwnas.latency.plan import plan
from hwnas.progress import Silent


def busy(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(measure, "BLOCK_S", {"kernel": 0.005, "net": 0.01})


@pytest.fixture
def bundle(space, exporter, rng, tmp_path):
    planned = plan(space, (64, 96), 5, rng, calibration_nets=3, holdout_nets=2)
    path = tmp_path / "bundle.zip"
    write_bundle(planned, path, exporter.export_ops, exporter.assemble, Silent())
    return path


def test_cpu_time_of_known_work():
    samples = time_callable(lambda: busy(0.002), min_runs=5, max_seconds=0.02)
    assert np.median(samples.cpu_ms) == pytest.approx(2.0, rel=0.25)
    assert len(samples.wall_ms) >= 5 and (samples.wall_ms > 0).all()


def test_sleep_counts_as_wall_time_only():
    samples = time_callable(lambda: time.sleep(0.005), min_runs=5, max_seconds=0.03)
    assert np.median(samples.wall_ms) >= 5.0
    assert np.median(samples.cpu_ms) < 2.5


def test_short_runs_are_grouped():
    calls = []
    samples = time_callable(lambda: calls.append(1), min_runs=5, max_seconds=0.01, warmup_s=0.001)
    assert samples.inner > 20
    assert samples.runs + samples.warmup_runs == len(calls)


def test_measuring_covers_every_model_and_goes_on_where_it_was(bundle, tmp_path):
    out = tmp_path / "measured.jsonl"
    assert measure_bundle(bundle, out, passes=1, seconds=60)
    lines = read_lines(out)
    names = [line["name"] for line in lines[1:] if line["name"] != "reference"]
    assert len(names) == len(set(names))
    kept = lines[: len(lines) // 2]
    text = "".join(json.dumps(line) + "\n" for line in kept) + '{"name": "k000'
    out.write_text(text)
    assert measure_bundle(bundle, out, passes=1, seconds=60)
    again = read_lines(out)
    assert again[: len(kept)] == kept
    assert sorted(line["name"] for line in again[1:] if line["name"] != "reference") == sorted(names)


def test_time_limit_is_kept_and_said(bundle, tmp_path):
    start = time.monotonic()
    assert not measure_bundle(bundle, tmp_path / "measured.jsonl", passes=50, seconds=0.0)
    assert time.monotonic() - start < 5


def test_kernels_that_cannot_be_built_are_recorded_and_the_rest_goes_on(bundle, tmp_path):
    import zipfile

    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(broken, "w") as target:
        manifest = json.loads(source.read("manifest.json"))
        victim = manifest["kernels"][0]["file"]
        for name in source.namelist():
            target.writestr(name, b"nonsense" if name == victim else source.read(name))
    out = tmp_path / "measured.jsonl"
    assert measure_bundle(broken, out, passes=1, seconds=60)
    errors = [line for line in read_lines(out) if "error" in line]
    assert len(errors) == 1 and errors[0]["name"] in victim


def test_error_on_a_journal_of_another_setting(bundle, tmp_path):
    out = tmp_path / "measured.jsonl"
    measure_bundle(bundle, out, passes=1, seconds=0.0)
    with pytest.raises(MeasureError, match="threads"):
        measure_bundle(bundle, out, threads=2, passes=1, seconds=0.0)


def test_error_on_a_journal_damaged_in_the_middle(tmp_path):
    path = tmp_path / "measured.jsonl"
    path.write_text('{"engine": "x"}\n{"name": \n{"name": "k"}\n')
    with pytest.raises(MeasureError, match="line 2"):
        Journal.open(path, {"engine": "x"})


@pytest.mark.parametrize("size", [0, 10, 2000])
def test_error_on_a_truncated_bundle(bundle, tmp_path, size):
    cut = tmp_path / "cut.zip"
    cut.write_bytes(bundle.read_bytes()[:size])
    with pytest.raises(MeasureError, match="damaged or truncated"):
        measure.read_manifest(cut)


def test_runs_alone_as_a_single_file(bundle, tmp_path):
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    shutil.copy(measure.__file__, alone / "measure.py")
    command = [sys.executable, "-I", "measure.py", str(bundle), "-o", "out.jsonl", "--passes", "1"]
    done = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"complete": True}
    bad = subprocess.run(
        [sys.executable, "-I", "measure.py", "missing.zip", "-o", "x"], cwd=alone, capture_output=True, text=True
    )
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1


def test_imports_nothing_of_hwnas_torch_or_onnx():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import measure; "
        "print([name for name in ('hwnas', 'torch', 'onnx') if name in sys.modules])"
    )
    folder = measure.__file__.rsplit("/", 1)[0]
    done = subprocess.run([sys.executable, "-I", "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
