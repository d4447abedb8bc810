from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hwnas.errors import ArtifactError
from hwnas.exporters.artifact import MANIFEST, Manifest, open_artifact, record_measured
from hwnas.exporters.build import export_artifact, weights_fingerprint
from hwnas.ir.fingerprint import fingerprint
from tests.exporters.nets import CLASSES, SIZE_HW


@pytest.fixture
def folder(exported, tmp_path) -> Path:
    return Path(shutil.copytree(exported["logits"].path.parent, tmp_path / "artifact"))


def with_value(text: str, name: str, value: object) -> str:
    return json.dumps({**json.loads(text), name: value})


def test_the_manifest_says_everything(exported, network, genotype) -> None:
    manifest = open_artifact(exported["logits"].path.parent).manifest
    assert manifest is not None
    assert (manifest.engine, manifest.precision, manifest.opset, manifest.entry) == (
        "onnxruntime",
        "fp32",
        18,
        "model.onnx",
    )
    assert manifest.genotype_fingerprint == fingerprint(genotype)
    assert manifest.weights_fingerprint == weights_fingerprint(network)
    assert manifest.input["shape"] == [1, 3, *SIZE_HW] and manifest.input["dtype"] == "float32"
    assert {"mean", "std", "resize", "layout", "name"} <= set(manifest.input)
    assert (manifest.output["kind"], manifest.output["shape"]) == ("logits", [1, 5, *SIZE_HW])
    assert manifest.classes == CLASSES
    labels = exported["labels"].manifest.output
    assert (labels["kind"], labels["dtype"], labels["shape"]) == ("labels", "uint8", [1, *SIZE_HW])


def test_manifest_round_trip(exported, tmp_path) -> None:
    manifest = exported["labels"].manifest
    document = json.loads(json.dumps(manifest.to_dict()))
    assert document["format"] == "hwnas-artifact" and document["schema_version"] == 1
    assert Manifest.from_dict(document, tmp_path) == manifest


@pytest.mark.parametrize("name", ["", MANIFEST, "model.onnx"])
def test_opens_by_folder_manifest_or_file(folder, name) -> None:
    artifact = open_artifact(folder / name)
    assert artifact.manifest is not None and artifact.path == folder / "model.onnx"
    with artifact.open() as session:
        assert session.output.name == "logits"


def test_tampered_truncated_or_missing_files_are_refused(folder) -> None:
    path = folder / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="SHA-256"):
        open_artifact(folder)
    path.write_bytes(bytes(data[:-10]))
    with pytest.raises(ArtifactError, match=r"bytes instead of"):
        open_artifact(path)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx is missing"):
        open_artifact(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "not valid JSON"),
        (lambda text: text.replace("hwnas-artifact", "other"), "not a manifest"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 99'), "schema version 99"),
        (lambda text: text.replace('"entry": "model.onnx"', '"entry": "other.onnx"'), "names no file for its entry"),
        (lambda text: text.replace('"opset"', '"opsets"'), "damaged"),
        (lambda text: with_value(text, "input", {}), "its input name is None"),
        (lambda text: with_value(text, "output", {}), "its output name is None"),
        (lambda text: with_value(text, "output", {**json.loads(text)["output"], "shape": [1]}), "its output shape"),
        (lambda text: with_value(text, "measured", None), "its measured is None"),
        (lambda text: with_value(text, "measured", {"latency": 3}), "its measured latency is 3"),
        (lambda text: with_value(text, "files", []), "damaged"),
        (lambda text: with_value(text, "runner", {"run.py": {}}), "damaged"),
        (lambda text: "[]", "not a manifest"),
    ],
)
def test_a_damaged_manifest_is_refused(folder, damage, message) -> None:
    path = folder / MANIFEST
    path.write_text(damage(path.read_text()))
    with pytest.raises(ArtifactError, match=message):
        open_artifact(folder)


def test_a_manifest_cannot_name_files_elsewhere(folder) -> None:
    path = folder / MANIFEST
    path.write_text(path.read_text().replace("model.onnx", "../model.onnx"))
    shutil.copy(folder / "model.onnx", folder.parent / "model.onnx")
    with pytest.raises(ArtifactError, match="outside of its folder"):
        open_artifact(folder)


def test_a_bare_onnx_file_opens_without_promises(folder) -> None:
    bare = folder.parent / "bare.onnx"
    shutil.copy(folder / "model.onnx", bare)
    artifact = open_artifact(bare)
    assert artifact.manifest is None and artifact.engine == "onnxruntime"
    assert record_measured(artifact, {"miou": 0.5}) is artifact


def test_what_is_no_artifact(tmp_path) -> None:
    with pytest.raises(ArtifactError, match="there is no artifact"):
        open_artifact(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match=r"has no hwnas\.json"):
        open_artifact(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ArtifactError, match="neither an artifact nor an engine file"):
        open_artifact(tmp_path / "weights.bin")


def test_measurements_are_added_to_the_manifest(folder) -> None:
    artifact = record_measured(open_artifact(folder), {"miou": 0.5})
    record_measured(artifact, {"latency": {"p50_ms": 1.0}})
    measured = open_artifact(folder).manifest.measured
    assert measured == {"miou": 0.5, "latency": {"p50_ms": 1.0}}


def test_an_export_that_breaks_off_leaves_no_artifact(folder, network, genotype, monkeypatch) -> None:
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("hwnas.exporters.build.write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        export_artifact(network, genotype, folder)
    with pytest.raises(ArtifactError, match=r"has no hwnas\.json"):
        open_artifact(folder)


def test_classes_must_fit_the_network(network, genotype, tmp_path) -> None:
    with pytest.raises(ArtifactError, match="5 classes, not 3"):
        export_artifact(network, genotype, tmp_path, classes=CLASSES[:3])
