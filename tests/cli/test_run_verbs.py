"""The verbs that train, export and time, each run once from files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import promised, run
from small_world import SIZE, SPACE, folder_data

NET = "fast-scnn"


def answer(*words: object) -> dict[str, Any]:
    """The JSON document of a command that succeeds, with every field that the guide promises."""
    ended = run(*words)
    assert ended.code == 0, ended.document
    fields = promised(str(words[0])) | (promised("benchmark") if words[0] == "validate" else set())
    assert set(ended.document) >= fields
    return ended.document


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder_data(tmp_path_factory.mktemp("verbs") / "data")


@pytest.fixture(scope="module")
def trained(data: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("trained") / "run"
    return answer("train", NET, "--data", data, "--size", SIZE, "--minutes", "0.1", "--run", place)


@pytest.fixture(scope="module")
def exported(trained: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of the run directory alone: size, classes and weights are known from it."""
    return answer("export", trained["run"], "-o", tmp_path_factory.mktemp("exported") / "engine")


def test_train_writes_a_network(trained: dict[str, Any]) -> None:
    assert trained["steps"] > 0 and trained["loss"] > 0
    assert 4 < trained["seconds"] < 30
    assert Path(trained["genotype"]).is_file() and Path(trained["weights"]).is_file()


def test_export_of_a_run_agrees_with_pytorch(exported: dict[str, Any]) -> None:
    assert exported["parity"]["equal_labels"] > 0.99
    assert (Path(exported["artifact"]) / "model.onnx").is_file()
    assert (Path(exported["labels_artifact"]) / "hwnas.json").is_file()


def test_export_without_weights_or_without_size_is_refused(tmp_path: Path) -> None:
    without_weights = run("export", NET, "--size", SIZE, "-o", tmp_path / "engine")
    assert without_weights.code == 2 and "--random-weights" in without_weights.document["hint"]
    without_size = run("export", NET, "--random-weights", "-o", tmp_path / "engine")
    assert without_size.code == 2 and "--size" in without_size.document["hint"]


def test_benchmark_orders_its_percentiles(exported: dict[str, Any]) -> None:
    for artifact in (exported["artifact"], exported["labels_artifact"]):
        timed = answer("benchmark", artifact, "--seconds", "0.3")
        assert 0 < timed["p50_ms"] <= timed["p90_ms"] <= timed["p99_ms"] <= timed["worst_ms"]
        assert timed["fps"] == pytest.approx(1e3 / timed["p50_ms"])
        assert timed["contract"]["threads"] == 1 and timed["contract"]["size_hw"] == [64, 96]


def test_validate_of_an_artifact_by_itself(exported: dict[str, Any], data: str) -> None:
    judged = answer("validate", exported["artifact"], "--data", data, "--budget", "1s")
    assert judged["verdict"] == "PASS" and judged["reasons"] == []
    assert 0 <= judged["miou"] <= 1 and judged["miou_torch"] is None and judged["predicted_ms"] is None
    assert judged["budget_ms"] == 1000


def test_benchmark_of_a_truncated_engine_is_refused(exported: dict[str, Any], tmp_path: Path) -> None:
    engine = tmp_path / "logits"
    engine.mkdir()
    for path in Path(exported["artifact"]).iterdir():
        content = path.read_bytes()
        (engine / path.name).write_bytes(content[: len(content) // 2] if path.suffix == ".onnx" else content)
    ended = run("benchmark", engine)
    assert ended.code == 2 and "model.onnx" in ended.document["error"] and "truncated" in ended.document["hint"]


def test_profile_makes_a_table_that_predicts(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    words = ["profile", "--space", SPACE, "--size", SIZE, "--classes", "2", "--minutes", "0.1", "-o", table]
    made = answer(*words)
    assert made["kernels"] == made["coverage"]["kernels"][0] > 10
    assert [path.name for path in tmp_path.iterdir()] == ["table.json"]
    assert run("sample", "--space", SPACE, "-o", tmp_path / "nets").code == 0
    (genotype,) = (tmp_path / "nets").glob("*.json")
    predicted = answer("predict", genotype, "--table", table)
    assert predicted["latency_ms"] > 0 and {node["source"] for node in predicted["nodes"]} <= {
        "measured",
        "interpolated",
    }
