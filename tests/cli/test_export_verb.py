"""``hwnas export`` in its forms, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import promised, run
from small_world import SIZE, folder_data, snapshot

from hwnas.cli.stages import exporting
from hwnas.cli.timing import artifact_path
from hwnas.exporters.artifact import open_artifact
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.parity import Parity

NET = ["fast-scnn", "--size", SIZE, "--classes", "2", "--random-weights"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder_data(tmp_path_factory.mktemp("export") / "data")


def export(folder: Path, *words: object) -> dict[str, Any]:
    ended = run("export", *NET, "-o", folder, *words)
    assert ended.code == 0, ended.document
    assert set(ended.document) >= promised("export")
    assert {read.split for read in ended.reads} <= {"train"}
    return ended.document


def refused(*words: object) -> tuple[str, str]:
    ended = run("export", *NET, *words)
    assert ended.code == 2, ended.document
    return str(ended.document["error"]), str(ended.document.get("hint", ""))


def test_pixels_in_batches_with_a_program_beside(tmp_path: Path) -> None:
    made = export(tmp_path / "e", "--preprocess", "--batch", "2", "--runner", "python", "--engine", "onnx")
    manifest = open_artifact(tmp_path / "e" / "labels").manifest
    assert manifest is not None and manifest.input["shape"] == [2, 64, 96, 3] and manifest.engine == "onnx"
    assert made["parity"]["differences"] == [] and made["quantization"] is None
    script = tmp_path / "e" / "labels" / "run.py"
    assert str(script) in made["runner"]
    helped = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert helped.returncode == 0 and "--overlay" in helped.stdout


def test_int8_is_calibrated_on_train_and_compared_with_fp32(data: str, tmp_path: Path) -> None:
    words = ["--precision", "int8", "--data", data, "--calibration-images", "3", "--calibration", "minmax,percentile"]
    made = export(tmp_path / "e", *words)
    found = made["quantization"]
    assert (found["images"], found["chosen"]) == (3, "int8")
    assert set(found["calibrations"]) == {"minmax", "percentile"}
    assert found["calibrations"][found["calibration"]] == max(found["calibrations"].values())
    assert [trial["name"] for trial in found["trials"]] == ["fp32", "int8"]
    assert all(0 <= trial["miou"] <= 1 and trial["p50_ms"] > 0 for trial in found["trials"])
    artifact = open_artifact(tmp_path / "e" / "logits")
    assert artifact.precision == "int8" and artifact.manifest is not None
    facts = {"calibration": found["calibration"], "images": 3, "float_nodes": []}
    assert artifact.manifest.quantization == facts
    assert artifact.path.stat().st_size < 3e6  # 1.1 million weights in a byte each


@pytest.mark.skipif(not ENGINES.get("openvino").available(), reason="openvino is not installed")
def test_openvino_of_any_number_of_images_to_labels_alone(tmp_path: Path) -> None:
    made = export(tmp_path / "e", "--engine", "openvino", "--dynamic-batch", "--argmax")
    labels = tmp_path / "e" / "labels"
    assert made["artifact"] == made["labels_artifact"] == str(labels)
    assert made["parity"]["max_relative"] is None and made["parity"]["equal_labels"] > 0.999
    assert (labels / "model_openvino_model" / "model.bin").is_file() and not (tmp_path / "e" / "logits").exists()
    artifact = open_artifact(labels)
    assert artifact.manifest is not None and artifact.manifest.input["shape"] == [-1, 3, 64, 96]
    timed = run("benchmark", tmp_path / "e", "--seconds", "0.2")
    assert timed.code == 0 and timed.document["artifact"] == str(artifact.path)


def test_an_engine_that_disagrees_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path / "e")
    before = snapshot(tmp_path)
    monkeypatch.setattr(exporting, "check_parity", lambda *arguments, **options: Parity(("values: they differ",)))
    message, _ = refused("-o", tmp_path / "e", "--seed", "1")
    assert "values: they differ" in message
    assert snapshot(tmp_path) == before
    monkeypatch.undo()
    export(tmp_path / "e", "--argmax")
    assert artifact_path(tmp_path / "e") == tmp_path / "e" / "labels"
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["labels"]


@pytest.mark.parametrize(
    ("words", "said", "advice"),
    [
        (["--precision", "int8"], "calibrated on images", "--data"),
        (["--precision", "int4"], "no precision 'int4'", "fp32"),
        (["--precision", "bf16"], "onnxruntime does not compute in bf16", "fp32, int8"),
        (["--engine", "onnxruntim"], "onnxruntim", "onnxruntime"),
        (["--max-miou-drop", "0.5"], "--precision int8", ""),
        (["--dynamic-batch", "--batch", "2"], "--dynamic-batch", ""),
        (["--dynamic-batch", "--engine", "tensorrt-rtx"], "--dynamic-batch", "openvino"),
        (["--precision", "int8", "--calibration", "mean", "--data", "streets"], "no calibration 'mean'", "minmax"),
        (["--runner", "rust"], "no runner 'rust'", "python"),
        (["--target", "sm86"], "not bound to a GPU", "--target"),
        (["--precision", "int8", "--data", "folder:nowhere"], "nowhere", ""),
        (["--weights", "w.safetensors"], "exclude each other", "one of them"),
        (["--argmax", "--classes", "300"], "labels are bytes", "--argmax"),
        (["--max-miou-drop", "nan"], "--max-miou-drop", ""),
    ],
)
def test_what_cannot_be_done_is_told_at_once(words: list[str], said: str, advice: str, tmp_path: Path) -> None:
    message, hint = refused("-o", tmp_path / "e", *words)
    assert said in message and advice in f"{message} {hint}"
    assert not (tmp_path / "e").exists()


def test_images_of_other_classes_are_refused(data: str, tmp_path: Path) -> None:
    words = ["--size", SIZE, "--classes", "5", "--random-weights", "-o", tmp_path / "e"]
    ended = run("export", "fast-scnn", *words, "--precision", "int8", "--data", data)
    assert ended.code == 2 and "knows 5 classes" in ended.document["error"]
    assert not (tmp_path / "e").exists()


def test_a_batch_of_pixels_is_validated_but_for_deadlines(data: str, tmp_path: Path) -> None:
    export(tmp_path / "e", "--preprocess", "--batch", "2", "--data", data)
    words = ["validate", tmp_path / "e", "--data", data, "--budget", "10s"]
    judged = run(*words)
    assert judged.code == 0 and 0 <= judged.document["miou"] <= 1, judged.document
    assert judged.document["contract"]["batch"] == 2
    ended = run(*words, "--fps", "5", "--seconds", "1")
    assert ended.code == 2 and "--batch 1" in ended.document["hint"] and not ended.reads
