"""The verbs that train, export and time, each run once from files alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import promised, run
from small_world import SIZE, SPACE, folder_data, synthetic_table

from hwnas.cli import judging, timing
from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import graph_of
from hwnas.cli.stages import validating
from hwnas.errors import HwnasError
from hwnas.exporters.artifact import open_artifact
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.table import save_table

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
    assert run("sample", "--space", SPACE, "-o", tmp_path / "nets").code == 0
    (genotype,) = (tmp_path / "nets").glob("*.json")
    without_size = run("export", genotype, "--random-weights", "-o", tmp_path / "engine")
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


def test_pytorchs_figures_are_those_of_the_run_that_is_named(
    trained: dict[str, Any], exported: dict[str, Any], data: str, tmp_path: Path
) -> None:
    """The engine lies outside of its run."""
    words = ["validate", exported["artifact"], "--data", data, "--budget", "1s", "--max-miou-drop", "0.5"]
    judged = answer(*words, "--run", trained["run"])
    assert judged["miou_torch"] == pytest.approx(judged["miou"], abs=0.005)
    assert "mIoU" in {check["name"] for check in judged["checks"]}
    unknown = run(*words)
    assert unknown.code == 2 and "--run DIR" in unknown.document["hint"]
    nowhere = run(*words, "--run", tmp_path)
    assert nowhere.code == 2 and "weights.safetensors" in nowhere.document["error"]
    other = tmp_path / "other"
    shutil.copytree(exported["artifact"], other)
    manifest = json.loads((other / "hwnas.json").read_text())
    (other / "hwnas.json").write_text(json.dumps({**manifest, "weights_fingerprint": "0" * 64}))
    refused = run("validate", other, *words[2:], "--run", trained["run"])
    assert refused.code == 2 and "other weights" in refused.document["error"]


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


def test_benchmark_of_several_gives_one_table(exported: dict[str, Any], data: str, tmp_path: Path) -> None:
    answer("validate", exported["artifact"], "--data", data, "--budget", "1s")
    folder = Path(exported["artifact"]).parent
    shutil.copytree(folder / "logits", tmp_path / "several" / "one")
    assert [timing.is_collection(path) for path in (tmp_path, folder, folder / "logits")] == [True, False, False]
    plot = tmp_path / "plot.svg"
    ended = run("benchmark", folder, "--all", "--seconds", "0.3", "--plot", plot)
    assert ended.code == 0, ended.document
    rows = ended.document["artifacts"]
    assert {Path(row["artifact"]).name for row in rows} == {"logits", "labels"}
    assert [row["p50_ms"] for row in rows] == sorted(row["p50_ms"] for row in rows)
    assert all(row["status"] == "ok" and row["bytes"] > 0 for row in rows) and plot.is_file()


def test_a_broken_artifact_is_a_row_of_the_table(exported: dict[str, Any], tmp_path: Path) -> None:
    manifest = json.loads((Path(exported["artifact"]) / "hwnas.json").read_text())
    for name, text in (("broken", "{"), ("odd", json.dumps({**manifest, "measured": None}))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hwnas.json").write_text(text)
    ended = run("benchmark", exported["artifact"], tmp_path / "broken", tmp_path / "odd", "--seconds", "0.3")
    assert ended.code == 0
    statuses = {Path(row["artifact"]).name: row["status"] for row in ended.document["artifacts"]}
    assert statuses["logits"] == "ok" and "hwnas.json" in statuses["broken"] and "damaged" in statuses["odd"]


def test_what_was_measured_is_compared_in_one_setting_only(exported: dict[str, Any], tmp_path: Path) -> None:
    files = []
    for name, words in (("one", []), ("again", []), ("whole", ["--scope", "end-to-end"])):
        timed = answer("benchmark", exported["artifact"], "--seconds", "0.3", *words)
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(timed))
    compared = run("benchmark", "--compare", files[0], files[1])
    assert compared.code == 0 and compared.document["speedup"] > 0
    refused = run("benchmark", "--compare", files[0], files[2])
    assert refused.code == 2 and "scope: engine, end-to-end" in refused.document["error"]
    assert run("benchmark", "--compare", files[0]).code == 2
    for fault in ({"contract": []}, {"p50_ms": 0}, {"miou": "high"}):
        files[2].write_text(json.dumps({**timed, **fault}))
        damaged = run("benchmark", "--compare", files[0], files[2])
        assert damaged.code == 2 and "is not what `hwnas benchmark --json` prints" in damaged.document["error"]
    assert "--record" in run("benchmark", "--compare", exported["labels_artifact"], files[0]).document["hint"]
    answer("benchmark", exported["labels_artifact"], "--seconds", "0.3", "--record")
    recorded = run("benchmark", "--compare", exported["labels_artifact"], exported["labels_artifact"])
    assert recorded.document["speedup"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["a", "b", "--compare", "--scope", "engine", "--seconds", "5", "--threads", "1"],
            "--threads, --seconds, --sc",
        ),
        (["a", "b", "--compare", "--plot", "p.svg", "--record", "--all"], "--all, --record, --plot would do nothing"),
        (["a", "b", "--streams", "4", "--record"], "--streams, --record would do nothing"),
        (["bare.onnx", "--record"], "no manifest to keep the latency in"),
        (["a", "b", "--plot", "p.bmp"], "plots are .svg, .png, .pdf"),
        (["logits", "labels", "--plot", "p.svg"], "no artifact has an mIoU"),
    ],
)
def test_benchmark_says_before_it_times_what_it_cannot_do(
    words: list[str], said: str, exported: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(timing, "benchmark")
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(exported["artifact"]) / "model.onnx", tmp_path / "bare.onnx")
    for kind in ("logits", "labels"):
        manifest = json.loads((Path(exported["artifact"]).parent / kind / "hwnas.json").read_text())
        shutil.copytree(Path(exported["artifact"]).parent / kind, tmp_path / kind)
        (tmp_path / kind / "hwnas.json").write_text(json.dumps({**manifest, "measured": {}}))
    ended = run("benchmark", *words)
    assert ended.code == 2 and said in ended.document["error"], ended.document


def test_times_are_told_where_they_cannot_be_kept(
    exported: dict[str, Any], data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise HwnasError("cannot write hwnas.json: read-only", "choose another folder")

    monkeypatch.setattr(validating, "record_measured", refuse)
    for words in (
        ["validate", exported["artifact"], "--data", data, "--budget", "1s"],
        ["benchmark", exported["artifact"]],
    ):
        judged = run(*words, *(["--seconds", "0.3", "--record"] if words[0] == "benchmark" else []))
        assert judged.code == 0 and judged.document["p50_ms"] > 0 and "not kept in the manifest" in judged.said
    ended = run("validate", exported["artifact"], "--data", data, "--budget", "1s", "--junit", tmp_path)
    assert ended.code == 2 and "it is a folder" in ended.document["error"] and not ended.reads


def test_a_table_of_another_setting_predicts_nothing(
    trained: dict[str, Any], exported: dict[str, Any], data: str, tmp_path: Path
) -> None:
    """It is refused where it was given; the run's own says why."""
    table = tmp_path / "table.json"
    save_table(synthetic_table(2), table)
    words = ["validate", exported["artifact"], "--data", data, "--budget", "1s", "--threads", "2"]
    refused = run(*words, "--run", trained["run"], "--table", table)
    assert refused.code == 2 and "threads: 1 in the table, 2 here" in refused.document["error"]
    assert "--force" in refused.document["hint"] and not refused.reads
    shutil.copytree(trained["run"], tmp_path / "run")
    shutil.copy(table, tmp_path / "run" / "table.json")
    judged = run(*words, "--run", tmp_path / "run")
    assert judged.code == 0 and judged.document["predicted_ms"] is None
    assert "threads: 1 in the table, 2 here" in judged.document["unpredicted"]


def test_training_heads_are_not_priced(
    exported: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, graph = graph_of("bisenetv2", SIZE, 2, NetworkOptions(auxiliary=True))
    assert graph.auxiliary
    priced = []

    class Model:
        def __init__(self, table: object) -> None:
            """Takes any table."""

        def predict(self, graph: OpGraph) -> SimpleNamespace:
            priced.append(graph)
            return SimpleNamespace(latency_ms=1.0)

    monkeypatch.setattr(judging, "TableModel", Model)
    save_table(synthetic_table(2), tmp_path / "table.json")
    manifest = open_artifact(Path(exported["artifact"])).manifest
    order = judging.ReferenceOrder(table=tmp_path / "table.json", force=True)
    network: Any = SimpleNamespace(graph=graph)
    assert order._priced(judging.Reference(tmp_path, network), manifest, 1).predicted_ms == 1.0
    assert not priced[0].auxiliary and len(priced[0].nodes) < len(graph.nodes)


def test_weights_of_other_classes_are_refused(trained: dict[str, Any], tmp_path: Path) -> None:
    ended = run("export", trained["run"], "--classes", "5", "-o", tmp_path / "e")
    assert ended.code == 2 and "the weights know 2 classes, not 5" in ended.document["error"]


def test_throughput_of_two_streams(exported: dict[str, Any]) -> None:
    timed = answer("benchmark", exported["artifact"], "--seconds", "0.3", "--streams", "2")
    assert timed["throughput"]["streams"] == 2 and timed["throughput"]["fps"] > 0


def test_deadlines_are_judged_and_written_for_a_ci_server(exported: dict[str, Any], data: str, tmp_path: Path) -> None:
    place = tmp_path / "junit.xml"
    words = ["validate", exported["artifact"], "--data", data, "--seconds", "0.5", "--junit", place]
    met = run(*words, "--fps", "10", "--max-missed", "90%")
    assert met.code == 0 and met.document["deadlines"]["frames"] == 5
    missed = run(*words, "--fps", "5000", "--seconds", "0.1")
    assert missed.code == 1 and "true rate" in missed.document["reasons"][0]
    assert 'failures="1"' in place.read_text()


def test_frames_of_a_deadline_run(exported: dict[str, Any], data: str, tmp_path: Path) -> None:
    words = ["validate", exported["artifact"], "--data", data]
    images = Path(data.removeprefix("folder:")) / "images" / "val"
    assert run(*words, "--fps", "10", "--seconds", "0.3", "--max-missed", "1", "--images", images).code == 0
    (tmp_path / "zero.png").touch()
    broken = run(*words, "--fps", "10", "--images", tmp_path)
    assert broken.code == 2 and "zero.png" in broken.document["error"]
    assert "--fps" in run(*words, "--budget", "1s", "--images", images).document["hint"]
    assert "--budget" in run(*words).document["hint"]
