"""A whole deployment, as small as one can be: killed, resumed, and looked at from all sides."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from commands import Command, promised, run
from small_world import SIZE, SIZE_HW, SPACE, folder_data, snapshot

from hwnas.cli.main import main

FILES = {
    "config.json",
    "stages.json",
    "result.json",
    "table.json",
    "shares.json",
    "supernet.safetensors",
    "supernet.json",
    "supernet.jsonl",
    "study.journal",
    "pool.json",
    "chosen.json",
    "finalist.safetensors",
    "genotype.json",
    "weights.safetensors",
    "train.json",
    "train.jsonl",
    "export.json",
    "verdict.json",
    "engine/logits/model.onnx",
    "engine/logits/hwnas.json",
    "engine/labels/model.onnx",
    "engine/labels/hwnas.json",
    "pictures/network.svg",
    "pictures/network.png",
}


@dataclass(frozen=True)
class Deployed:
    """A finished deployment that was killed once on its way."""

    words: list[str]
    run: Path
    after_kill: dict[str, str]
    resumed: Command


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Killed before it trains, then resumed to its end. Its table is measured, in a few seconds."""
    folder = tmp_path_factory.mktemp("deploy")
    data, place = folder_data(folder / "data"), folder / "run"
    words = ["deploy", "--data", data, "--size", SIZE, "--space", SPACE, "--budget", "100ms", "--minutes", "0.3"]
    words += ["--clock", "cpu", "--run", str(place)]
    script = Path(__file__).with_name("deploy_to_be_killed.py")
    dead = subprocess.run(
        [sys.executable, str(script), "train", *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert dead.returncode == -9, dead.stderr
    after_kill = snapshot(place)
    return Deployed(words, place, after_kill, run(*words, "--resume"))


def test_without_a_supernet_and_with_small_crops(
    small_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The crops of the finals are those of the last training, which goes on from them; the table of the end says
    nothing of a supernet that there is not."""
    words = ["deploy", "--data", folder_data(tmp_path / "data"), "--size", SIZE, "--space", SPACE, "--budget", "100ms"]
    words += ["--minutes", "0.1", "--clock", "cpu", "--table", str(small_table), "--run", str(tmp_path / "run")]
    code = main([*words, "--strategy", "halving", "--set", "crop=0.4"])
    said = capsys.readouterr()
    assert code in (0, 1) and "│ verdict" in said.out and "│ supernet" not in said.out, said.err


def test_verdict_decides_the_exit_code(deployed: Deployed) -> None:
    document = deployed.resumed.document
    verdict = document["validate"]
    assert verdict["verdict"] in ("PASS", "FAIL")
    assert deployed.resumed.code == (0 if verdict["verdict"] == "PASS" else 1)
    assert bool(verdict["reasons"]) == (verdict["verdict"] == "FAIL")
    assert verdict["p50_ms"] < verdict["budget_ms"] == 100


def test_all_files_are_there(deployed: Deployed) -> None:
    assert set(snapshot(deployed.run)) >= FILES


def test_document_has_what_the_guide_promises(deployed: Deployed) -> None:
    document = deployed.resumed.document
    assert set(document) >= promised("deploy")
    assert set(document["profile"]) >= promised("profile")
    assert {"run", *document["search"], *document["supernet"]} >= promised("search")
    assert set(document["export"]) >= promised("export")
    assert {"artifact", *document["validate"]} >= promised("validate") | promised("benchmark")
    assert json.loads((deployed.run / "result.json").read_text()) == document


def test_artifact_opens_and_labels_images(deployed: Deployed) -> None:
    from hwnas.exporters.artifact import open_artifact

    artifact = open_artifact(Path(deployed.resumed.document["artifact"]))
    assert artifact.manifest is not None
    assert artifact.manifest.measured["miou"] == deployed.resumed.document["validate"]["miou"]
    with artifact.open() as session:
        assert session.run(np.zeros((1, 3, *SIZE_HW), np.float32)).shape == (1, 2, *SIZE_HW)


def test_resuming_kept_what_was_done_before_the_kill(deployed: Deployed) -> None:
    kept = {"table.json", "supernet.safetensors", "study.journal", "chosen.json", "genotype.json"}
    now = snapshot(deployed.run)
    assert {name: now[name] for name in kept} == {name: deployed.after_kill[name] for name in kept}
    assert "weights.safetensors" not in deployed.after_kill


def test_val_is_read_in_the_last_stage_only(deployed: Deployed) -> None:
    """The first process read only ``train`` (see test_search_reads); the second opens ``val`` when all is exported."""
    splits = [read.split for read in deployed.resumed.reads]
    first = splits.index("val")
    assert "train" in splits[:first]
    exported = (deployed.run / "engine" / "logits" / "model.onnx").stat().st_mtime
    verdict = (deployed.run / "verdict.json").stat().st_mtime
    assert exported < verdict
    stamps = json.loads((deployed.run / "stages.json").read_text())["stages"]
    assert list(stamps) == ["profile", "supernet", "search", "train", "export", "validate"]


def test_resuming_a_finished_run_does_nothing_again(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(deployed.run)
    again = run(*deployed.words, "--resume")
    assert again.code == deployed.resumed.code
    assert {**again.document, "seconds": 0} == {**deployed.resumed.document, "seconds": 0}
    assert {read.split for read in again.reads} <= {"train"}
    now = snapshot(deployed.run)
    changed = {name for name in before if now[name] != before[name]}
    assert changed <= {".lock", "result.json"} | {name for name in before if name.startswith("pictures/")}


def test_starting_the_same_run_again_is_refused(deployed: Deployed) -> None:
    before = snapshot(deployed.run)
    again = run(*deployed.words)
    assert again.code == 2 and "already holds a run" in again.document["error"]
    assert "--resume" in again.document["hint"]
    after = snapshot(deployed.run)
    assert {**after, ".lock": ""} == {**before, ".lock": ""}


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("name", ["supernet.safetensors", "stages.json", "config.json"])
def test_resuming_with_a_truncated_file_is_one_sentence(
    name: str, part: float, deployed: Deployed, tmp_path: Path
) -> None:
    """Those that cannot be made again without losing what they hold; other files are."""
    place = tmp_path / "run"
    shutil.copytree(deployed.run, place)
    content = (place / name).read_bytes()
    (place / name).write_bytes(content[: int(part * len(content))])
    before = snapshot(place)
    ended = run(*deployed.words[:-1], place, "--resume")
    assert ended.code == 2, ended.said
    assert name in ended.document["error"] and ended.document["hint"]
    assert "Traceback" not in ended.said and "\n" not in ended.document["error"]
    after = snapshot(place)
    assert {**after, ".lock": ""} == {**before, ".lock": ""}


class SmallDisk:
    """A file system of four mebibytes at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave not a byte."""
        space = os.statvfs(self.path)
        self._filler.write_bytes(bytes(space.f_bavail * space.f_bsize))

    def free(self) -> None:
        self._filler.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mounted in memory, where the tests may mount."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("may not mount a small disk (needs root); test_bad_input has a full disk without one")
    yield SmallDisk(place)
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("stage", ["search", "export", "validate"])
def test_full_disk_in_a_stage_costs_that_stage_only(
    stage: str, deployed: Deployed, small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are drawn before ``validate``: that is where the disk is full if only the verdict is missing."""
    place = small_disk.path / "run"
    shutil.copytree(deployed.run, place)
    record = json.loads((place / "stages.json").read_text())
    names = list(record["stages"])
    for name in names[names.index(stage) :]:
        del record["stages"][name]
    (place / "stages.json").write_text(json.dumps(record))
    if stage == "search":
        (place / "study.journal").unlink()
    words = [*deployed.words[:-1], place, "--resume"]
    before = snapshot(place)

    small_disk.fill()
    ended = run(*words)
    assert ended.code == 2, ended.said
    assert "No space left" in ended.document["error"] and "free some space" in ended.document["hint"]
    assert "\n" not in ended.document["error"] and "Traceback" not in ended.said
    after = snapshot(place)
    manifests = {name for name in before if name.endswith("hwnas.json")}  # withdrawn while an engine is written
    assert {name for name in before if after.get(name) != before[name]} <= {".lock"} | manifests

    small_disk.free()
    if stage == "export":
        assert run(*words).code == deployed.resumed.code
        assert set(snapshot(place)) >= FILES


def test_validate_of_the_run_says_fail_over_a_tighter_budget(deployed: Deployed) -> None:
    data = deployed.words[2]
    judged = run("validate", deployed.run, "--data", data, "--budget", "0.0001ms")
    assert judged.code == 1 and judged.document["verdict"] == "FAIL"
    assert "over the budget" in judged.document["reasons"][0]
    assert judged.document["miou_torch"] == pytest.approx(judged.document["miou"], abs=1e-3)
    assert judged.document["predicted_ms"] > 0
