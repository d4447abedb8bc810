"""Engines for GPUs that are not here. Building is real where the package is; running is not tried."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hwnas.errors import ArtifactError
from hwnas.exporters import build, tensorrt_engine
from hwnas.exporters.artifact import Artifact, open_artifact
from hwnas.exporters.build import export_artifact
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.quantized import quantized_to_time
from hwnas.exporters.tensorrt_engine import TensorRtEngine

RTX = ENGINES.get("tensorrt-rtx")
needs_rtx = pytest.mark.skipif(not RTX.available(), reason=f"{RTX.available().problem}; {RTX.available().hint}")


@pytest.fixture
def pretended(monkeypatch) -> TensorRtEngine:
    """An engine of a package that knows two GPUs."""
    engine = TensorRtEngine("tensorrt-rtx", "tensorrt_rtx")
    package = SimpleNamespace(__version__="1.0", ComputeCapability=SimpleNamespace(SM86=3, SM120=5, CURRENT=0))
    monkeypatch.setattr(engine, "_module", lambda: package)
    return engine


def test_unknown_targets_name_those_there_are(pretended) -> None:
    with pytest.raises(ArtifactError, match="'sm90'") as refused:
        pretended.check_targets(["sm86", "sm90"])
    assert "sm86, sm120" in refused.value.hint


def test_without_a_gpu_targets_must_be_named(pretended, monkeypatch) -> None:
    monkeypatch.setattr(tensorrt_engine, "compute_capability", lambda: "")
    with pytest.raises(ArtifactError, match="there is none here") as refused:
        pretended.check_targets([])
    assert "--target sm86,sm120" in refused.value.hint
    monkeypatch.setattr(tensorrt_engine, "compute_capability", lambda: "sm86")
    pretended.check_targets([])


class PretendedPackage:
    """Notes the targets that it is asked to build for; reads only models that say so."""

    def __init__(self) -> None:
        self.targets: dict[int, int] = {}
        self.ComputeCapability = SimpleNamespace(SM86=86, SM89=89)
        self.Logger = type("Logger", (), {"ERROR": 0, "__init__": lambda self, level: None})
        self.NetworkDefinitionCreationFlag = SimpleNamespace()
        config = SimpleNamespace(set_compute_capability=lambda gpu, place: self.targets.update({place: gpu}))
        self.Builder = lambda logger: SimpleNamespace(
            create_network=lambda flags: None,
            create_builder_config=lambda: config,
            build_serialized_network=lambda network, config: b"engine",
        )
        error = SimpleNamespace(node_name=lambda: "", node=lambda: 7, desc=lambda: "no such op")
        self.OnnxParser = lambda network, logger: SimpleNamespace(
            parse=lambda model: model == b"good", get_error=lambda place: error
        )


def test_one_way_to_build_for_tables_and_for_exports(monkeypatch, tmp_path: Path) -> None:
    engine, package = TensorRtEngine("tensorrt-rtx", "tensorrt_rtx"), PretendedPackage()
    monkeypatch.setattr(engine, "_module", lambda: package)
    model = tmp_path / "model.onnx"
    model.write_bytes(b"good")
    assert engine._serialized(model, "fp32", ["sm89", "sm86"]) == b"engine"
    assert package.targets == {0: 89, 1: 86}
    model.write_bytes(b"bad")
    with pytest.raises(ArtifactError, match="node 7: no such op"):
        engine._serialized(model, "fp32", [])


def test_without_targets_it_is_built_for_the_gpu_here_and_says_so(network, genotype, monkeypatch, tmp_path) -> None:
    """TensorRT's full package knows no GPUs by name: none may be passed on to it."""
    package = SimpleNamespace(__version__="10.0")
    asked: list[object] = []
    engine = ENGINES.get("tensorrt")
    monkeypatch.setattr(engine, "_module", lambda: package)
    for module in (tensorrt_engine, build):
        monkeypatch.setattr(module, "compute_capability", lambda: "sm90")
    monkeypatch.setattr(tensorrt_engine, "tensorrt_engine", lambda *arguments: asked.append(arguments) or b"engine")
    artifact = export_artifact(network, genotype, tmp_path, engine="tensorrt")
    assert artifact.manifest.targets == ("sm90",) and asked[0][2] == ()


@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_engines_are_built_for_gpus_that_are_not_here(network, genotype, precision, tmp_path: Path) -> None:
    model = network_as_onnx(network)
    if precision == "int8":
        model = quantized_to_time(model, symmetric=True)
    artifact = export_artifact(
        network, genotype, tmp_path, engine="tensorrt-rtx", precision=precision, model=model, targets=("sm86", "sm89")
    )
    assert artifact.path.suffix == ".engine" and artifact.path.stat().st_size > 10_000
    assert artifact.manifest.targets == ("sm86", "sm89")


def test_another_gpus_engine_is_refused(exported, monkeypatch) -> None:
    import dataclasses

    from hwnas.exporters.artifact import check_device

    manifest = dataclasses.replace(exported["logits"].manifest, engine="tensorrt-rtx", targets=("sm86",))
    monkeypatch.setattr(tensorrt_engine, "compute_capability", lambda: "sm89")
    with pytest.raises(ArtifactError, match=r"for sm86.*is sm89"):
        check_device(manifest)
    with pytest.raises(ArtifactError, match="for sm86"):
        Artifact(Path("model.engine"), manifest).open()
    monkeypatch.setattr(tensorrt_engine, "compute_capability", lambda: "sm86")
    check_device(manifest)
    assert open_artifact(exported["logits"].path.parent).manifest.targets == ()
