"""OpenVINO: what it builds, which precision it remembers, how its crashes are told. The contract is elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("openvino", reason='openvino is not installed: pip install "hwnas[openvino]"')

from hwnas.errors import ArtifactError
from hwnas.exporters.artifact import open_artifact
from hwnas.exporters.build import export_artifact
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.openvino_engine import OpenVinoEngine, _in_own_process
from hwnas.exporters.quantized import quantized_to_time
from tests.exporters.nets import CLASSES

ENGINE = ENGINES.get("openvino")
PRECISIONS = ENGINE.available().precisions


@pytest.fixture(scope="module")
def onnx_path(exported) -> Path:
    return Path(exported["logits"].path)


@pytest.fixture(scope="module")
def int8_path(onnx_path, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    onnx.save(quantized_to_time(onnx.load(onnx_path)), path)
    return path


def run(path: Path) -> np.ndarray:
    with ENGINE.open(path, threads=1) as session:
        return session.run(np.random.default_rng(0).standard_normal(session.input.shape, dtype=np.float32))


def test_files_lie_where_its_users_look_for_them(onnx_path, tmp_path) -> None:
    built = ENGINE.build(onnx_path, precision="fp32", out_dir=tmp_path)
    assert built == tmp_path / "model_openvino_model" / "model.xml"
    assert sorted(path.name for path in built.parent.iterdir()) == ["model.bin", "model.xml"]


@pytest.mark.skipif("bf16" not in PRECISIONS, reason="this processor does not compute in bf16")
def test_a_file_is_run_in_the_precision_that_it_was_built_for(onnx_path, tmp_path) -> None:
    built = {name: ENGINE.build(onnx_path, precision=name, out_dir=tmp_path / name) for name in ("fp32", "bf16")}
    fp32, bf16 = (run(path) for path in built.values())
    difference = float(np.abs(fp32 - bf16).max() / np.abs(fp32).max())
    assert 1e-3 < difference < 0.2


def test_onnx_files_are_opened_too(onnx_path, tmp_path) -> None:
    built = ENGINE.build(onnx_path, precision="fp32", out_dir=tmp_path)
    np.testing.assert_allclose(run(onnx_path), run(built), rtol=1e-5, atol=1e-5)


def test_int8_is_built_from_a_quantized_graph_only(onnx_path, int8_path, tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"float graph, and int8 in openvino is built from a quantized"):
        ENGINE.build(onnx_path, precision="int8", out_dir=tmp_path)
    with pytest.raises(ArtifactError, match="quantized graph, and fp32"):
        ENGINE.build(int8_path, precision="fp32", out_dir=tmp_path)


def test_an_int8_graph_runs_or_its_crash_is_told(int8_path, tmp_path) -> None:
    try:
        output = run(ENGINE.build(int8_path, precision="int8", out_dir=tmp_path))
    except ArtifactError as error:
        assert "crashed" in error.message
    else:
        assert np.isfinite(output).all()


def test_a_precision_that_the_processor_lacks_is_refused(onnx_path, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("hwnas.exporters.openvino_engine._precisions", lambda: ("fp32", "int8"))
    with pytest.raises(ArtifactError, match="does not compute in fp16") as caught:
        OpenVinoEngine().build(onnx_path, precision="fp16", out_dir=tmp_path)
    assert "fp32, int8" in caught.value.hint


@pytest.mark.skipif("fp16" in PRECISIONS, reason="this processor computes in fp16")
def test_a_file_of_another_processors_precision_is_told(onnx_path, tmp_path) -> None:
    with pytest.raises(ArtifactError, match="does not compute in fp16") as caught:
        _in_own_process("convert", onnx_path, str(tmp_path / "model.xml"), "fp16")
    assert "export it for this processor, in one of: fp32" in caught.value.hint


def test_a_crash_while_compiling_is_one_sentence(onnx_path, tmp_path, monkeypatch) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crashing))
    with pytest.raises(ArtifactError, match=r"crashed \(signal 11\) while compiling .*model\.onnx"):
        ENGINE.build(onnx_path, precision="fp32", out_dir=tmp_path)


def test_a_damaged_file_is_one_sentence(tmp_path) -> None:
    bad = tmp_path / "bad.xml"
    bad.write_text("<net>")
    with pytest.raises(ArtifactError, match=r"cannot open .*bad\.xml") as caught, ENGINE.open(bad, threads=1):
        pass
    assert "\n" not in caught.value.message


def test_the_artifact_holds_all_files_of_the_engine(network, genotype, tmp_path) -> None:
    made = export_artifact(network, genotype, tmp_path / "a", engine="openvino", classes=CLASSES)
    folder = "model_openvino_model"
    assert {"model.onnx", f"{folder}/model.bin", f"{folder}/model.xml"} <= set(made.manifest.files)
    opened = open_artifact(tmp_path / "a")
    with opened.open() as session:
        assert session.output.name == "logits"
    bare = open_artifact(made.path)
    assert (bare.manifest, bare.engine) == (None, "openvino")
    made.path.with_suffix(".bin").write_bytes(b"")
    with pytest.raises(ArtifactError, match="truncated"):
        open_artifact(tmp_path / "a")
