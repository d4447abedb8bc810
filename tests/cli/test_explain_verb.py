"""``hwnas explain`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import JSON_GUIDE, promised, run

from hwnas.cli.main import main
from hwnas.cli.options import input_of
from hwnas.cli.stages.explaining import is_artifact
from hwnas.errors import HwnasError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.contract import TimingContract
from hwnas.latency.keys import keys_of
from hwnas.latency.measure import device_fingerprint
from hwnas.latency.table import Entry, LatencyTable, save_table
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import load

NET = ["fast-scnn", "--size", "64x96", "--classes", "3"]
QUICK = ["--seconds", "0.2"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported engine."""
    folder = tmp_path_factory.mktemp("engine")
    command = run("export", *NET, "--random-weights", "-o", folder)
    assert command.code == 0, command.document
    return Path(command.document["artifact"])


def table(path: Path, **changed: Any) -> Path:
    """A table of this machine that prices every node of the network at 0.5 ms."""
    import onnxruntime

    device = device_fingerprint()
    setting = {
        "device": device["device"],
        "cores": device["cores"],
        "pinned": tuple(device["pinned"]),
        "governor": device["governor"],
        "engine": "onnxruntime",
        "engine_version": onnxruntime.__version__,
        "precision": "fp32",
        "threads": 1,
        "size_hw": (64, 96),
    }
    keys = keys_of(expand(load("fast-scnn"), (3, 64, 96), 3)).values()
    save_table(LatencyTable(TimingContract(**{**setting, **changed}), {key.text: Entry(0.5) for key in keys}), path)
    return path


def test_an_engine_is_explained_down_to_its_kernels(engine: Path, tmp_path: Path) -> None:
    command = run("explain", engine, *QUICK, "-o", tmp_path)
    assert command.code == 0, command.document
    found = command.document
    assert promised("explain") >= set(found)
    assert (found["name"], found["size"], found["classes"], found["engine"]) == ("fast-scnn", "64x96", 3, "onnxruntime")
    nodes = {node["name"]: node for node in found["nodes"]}
    assert nodes["extract/stage1_1"]["cell"] == "network" and nodes["extract/stage1_1"]["op"] == "mbconv_e6_k3"
    assert nodes["fuse/add"]["inside"] == "fuse/low"
    parts = sum(node["ms"] for node in found["nodes"]) + found["unattributed_ms"] + found["between_ms"]
    assert found["profiled_ms"] == pytest.approx(parts)
    assert found["predicted_ms"] is None
    names = {Path(path).name for path in found["pictures"]}
    assert {"bars.svg", "bars.png", "network.svg", "network.png"} <= names
    section = JSON_GUIDE.split("\n## explain\n")[1].split("\n## ")[0]
    assert all(f"`{field}`" in section for field in nodes["upsample"])


def test_a_table_stands_beside_each_node(engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(tmp_path / "table.json")
    found = run("explain", engine, *QUICK, "--table", path).document
    assert {node["predicted_ms"] for node in found["nodes"]} == {0.5}
    assert found["predicted_ms"] == pytest.approx(0.5 * len(found["nodes"]))
    assert main(["explain", str(engine), *QUICK, "--table", str(path)]) == 0
    said = capsys.readouterr().out
    assert "off by" in said and "predicted" in said and "fuse/add in fuse/low" in said and "unattributed" in said


def test_a_table_of_another_setting_is_refused_unless_forced(engine: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "table.json", threads=2)
    refused = run("explain", engine, *QUICK, "--table", path)
    assert refused.code == 2 and "threads: 2 in the table, 1 here" in refused.document["error"]
    assert "--force" in refused.document["hint"]
    assert run("explain", engine, *QUICK, "--table", path, "--force").code == 0


def test_a_genotype_takes_size_and_classes_from_the_table(tmp_path: Path) -> None:
    found = run("explain", "fast-scnn", *QUICK, "--table", table(tmp_path / "table.json")).document
    assert (found["size"], found["classes"]) == ("64x96", 3)


def test_pytorch_explains_an_artifact_by_its_genotype(engine: Path) -> None:
    found = run("explain", engine, *QUICK, "--engine", "torch-eager").document
    assert found["engine"] == "torch-eager" and found["size"] == "64x96"
    assert all(len(node["kernels"]) == 1 for node in found["nodes"])


def test_a_bare_onnx_file_is_explained_by_its_names(engine: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.onnx"
    bare.write_bytes((engine / "model.onnx").read_bytes())
    found = run("explain", bare, *QUICK, "-o", tmp_path / "pictures").document
    assert "classifier" in {node["name"] for node in found["nodes"]}
    assert {Path(path).name for path in found["pictures"]} == {"bars.svg", "bars.png"}
    refused = run("explain", bare, *QUICK, "--table", table(tmp_path / "table.json"))
    assert refused.code == 2 and "genotype" in refused.document["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.onnx"], "there is no artifact"),
        ([*NET, "--engine", "onnxruntim"], "cannot be explained"),
        (["fast-scn"], "fast-scn"),
    ],
)
def test_mistakes_are_one_sentence(words: list[str], said: str) -> None:
    refused = run("explain", *words, *QUICK)
    assert refused.code == 2 and said in refused.document["error"], refused.document


@pytest.mark.parametrize("words", [["--size", "32x32"], ["--param", "width=2"]], ids=lambda words: words[0])
def test_what_an_artifact_is_cannot_be_chosen(words: list[str], engine: Path) -> None:
    refused = run("explain", engine, *words)
    assert refused.code == 2 and "fixed" in refused.document["error"]


@pytest.mark.parametrize(
    ("words", "size", "classes", "skeleton", "channels"),
    [
        ([], "32x32", 10, "darts-cifar", None),
        (["--channels", "8", "--auxiliary"], "32x32", 10, "darts-cifar", 8),
        (["--size", "64x64", "--classes", "4", "--skeleton", "darts-imagenet"], "64x64", 4, "darts-imagenet", None),
    ],
    ids=["published", "narrower", "another skeleton"],
)
def test_a_network_of_the_zoo_is_the_one_that_was_published(
    words: list[str], size: str, classes: int, skeleton: str, channels: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def stop(genotype: Genotype, graph: OpGraph, engine: str, seed: int) -> None:
        seen.append((genotype, graph))
        raise HwnasError("seen")

    monkeypatch.setattr("hwnas.cli.stages.explaining.genotype_subject", stop)
    assert run("explain", "darts-v1", *words).document["error"] == "seen"
    ((genotype, graph),) = seen
    assert input_of(graph) == (size, classes) and not graph.auxiliary
    assert (genotype.skeleton, genotype.params.get("channels")) == (skeleton, channels)


def test_a_damaged_onnx_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no onnx at all")
    refused = run("explain", tmp_path / "bad.onnx", *QUICK)
    assert refused.code == 2 and "bad.onnx" in refused.document["error"]


def test_folders_are_artifacts_by_their_manifest(engine: Path) -> None:
    assert is_artifact(engine) and not is_artifact(engine.parent) and not is_artifact(Path("fast-scnn"))
    assert json.loads((engine / "hwnas.json").read_text())["files"].keys() == {"model.onnx", "genotype.json"}
