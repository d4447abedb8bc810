"""Run directories: who may work where, what may be resumed, and which stages are done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hwnas.errors import HwnasError, RunError
from hwnas.rundir import RunDir, read_config

CONFIG = {"data": "streets", "size": [180, 240], "budget": {"latency_ms": 10.0, "at": "p50"}, "minutes": 20}
ROOT = Path(__file__).resolve().parent.parent
HOLD = """
import sys, time
from pathlib import Path
from hwnas.rundir import RunDir
run = RunDir.open(Path(sys.argv[1]), {})
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "x"
    RunDir.open(path, CONFIG).close()
    return path


def hold(path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_new_and_empty_directories_become_runs(tmp_path: Path) -> None:
    for path in (tmp_path / "a" / "b", tmp_path / "c"):
        (tmp_path / "c").mkdir(exist_ok=True)
        with RunDir.open(path, CONFIG) as run:
            assert run.config == CONFIG
            assert run / "table.json" == path / "table.json"
        assert read_config(path) == CONFIG


def test_existing_run_needs_resume(run: Path) -> None:
    with pytest.raises(RunError, match="already holds a run") as caught:
        RunDir.open(run, CONFIG)
    assert "--resume" in caught.value.hint
    RunDir.open(run, CONFIG, resume=True).close()


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run to resume"):
        RunDir.open(tmp_path / "typo", CONFIG, resume=True)
    assert not (tmp_path / "typo").exists()


def test_run_killed_before_it_had_a_configuration_can_be_resumed(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("")
    (tmp_path / ".config.json.ab12.json").write_text("{")
    RunDir.open(tmp_path, CONFIG, resume=True).close()
    assert read_config(tmp_path) == CONFIG


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "camvid:x"}, 'data = "streets", not "camvid:x"'),
        ({"size": [360, 480]}, r"size = \[180, 240\], not \[360, 480\]"),
        ({"budget": {"latency_ms": 8.0, "at": "p50"}}, "budget.latency_ms = 10.0, not 8.0"),
        ({"space": "realtime"}, 'space = null, not "realtime"'),
    ],
)
def test_resume_with_another_configuration_names_the_field(run: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(RunError, match=message):
        RunDir.open(run, {**CONFIG, **change}, resume=True)
    RunDir.open(run, CONFIG, resume=True).close()


def test_fields_that_may_differ_are_not_compared(run: Path) -> None:
    with RunDir.open(run, {**CONFIG, "minutes": 5}, resume=True, may_differ=["minutes"]) as again:
        assert again.config["minutes"] == 20


def test_tuples_count_as_lists(run: Path) -> None:
    RunDir.open(run, {**CONFIG, "size": (180, 240)}, resume=True).close()


def test_directory_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    for resume in (False, True):
        with pytest.raises(RunError, match=r"not a run \(thesis.tex"):
            RunDir.open(tmp_path, CONFIG, resume=resume)
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_programs_configuration_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model": "bert"}')
    with pytest.raises(RunError, match="is not a run directory"):
        RunDir.open(tmp_path, CONFIG, resume=True)
    assert [item.name for item in tmp_path.iterdir()] == ["config.json"]


def test_truncated_configuration_is_one_clear_error(run: Path) -> None:
    (run / "config.json").write_text('{"kind": "hwn')
    with pytest.raises(HwnasError, match="not valid JSON"):
        RunDir.open(run, CONFIG, resume=True)


def test_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError):
            RunDir.open(path, CONFIG)


def test_second_run_is_refused_while_the_first_is_at_work(tmp_path: Path) -> None:
    process = hold(tmp_path)
    try:
        for resume in (False, True):
            with pytest.raises(RunError, match=rf"already running \(pid {process.pid} on "):
                RunDir.open(tmp_path, {}, resume=resume)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    RunDir.open(tmp_path, {}, resume=True).close()  # the kill released it


def test_second_open_in_the_same_process_is_refused_too(run: Path) -> None:
    with RunDir.open(run, CONFIG, resume=True), pytest.raises(RunError, match=f"pid {os.getpid()} "):
        RunDir.open(run, CONFIG, resume=True)
    RunDir.open(run, CONFIG, resume=True).close()


def test_stage_is_done_once(run: Path) -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        (run / "table.json").write_text("{}")

    for ran in (True, False, False):
        with RunDir.open(run, CONFIG, resume=True) as opened:
            assert opened.stage("profile", work, inputs={"size": (180, 240)}, outputs=["table.json"]) is ran
            stamp = opened.stamps()["profile"]
    assert len(calls) == 1
    assert stamp["inputs"] == {"size": [180, 240]}
    assert stamp["seconds"] >= 0
    assert list(stamp["outputs"]) == ["table.json"]


def test_stage_is_done_again_if_what_it_reads_or_wrote_has_changed(run: Path) -> None:
    with RunDir.open(run, CONFIG, resume=True) as opened:
        (run / "table.json").write_text("{}")
        (run / "genotype.json").write_text("{}")
        inputs = opened.fingerprints("table.json")
        opened.stamp("search", inputs, ["genotype.json"], 1.0)
        assert opened.is_done("search", inputs)
        assert not opened.is_done("train", inputs)
        (run / "genotype.json").write_text("{")
        assert not opened.is_done("search", inputs)
        (run / "genotype.json").unlink()
        assert not opened.is_done("search", inputs)
        (run / "genotype.json").write_text("{}")
        (run / "table.json").write_text("[]")
        assert not opened.is_done("search", opened.fingerprints("table.json"))


def test_stage_that_fails_is_not_stamped(run: Path) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    with RunDir.open(run, CONFIG, resume=True) as opened:
        with pytest.raises(KeyboardInterrupt):
            opened.stage("train", work, inputs={}, outputs=[])
        assert not opened.is_done("train", {})


def test_damaged_stamps_are_one_clear_error(run: Path) -> None:
    for damage in ("[]", '{"stages": {"a": 3}}', '{"stages": {"a": {}}}', '{"stages"'):
        (run / "stages.json").write_text(damage)
        with RunDir.open(run, CONFIG, resume=True) as opened, pytest.raises(HwnasError):
            opened.stamps()
