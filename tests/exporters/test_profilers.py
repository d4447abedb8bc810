"""What engines say of their kernels, as it is read: damaged profiles, and real ones of small networks."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from hwnas.errors import ArtifactError
from hwnas.exporters.ort_profiler import lineage_of, parse_profile
from hwnas.exporters.profiler import PROFILERS, Run, quiet_means

FILE = Path("model.onnx")


def event(name: str, micros: int, kind: str = "Conv") -> dict:
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": micros, "ts": 0, "args": {"op_name": kind}}


def session(name: str, micros: int) -> dict:
    return {"cat": "Session", "name": name, "dur": micros, "ts": 0, "args": {}}


ONE_RUN = [session("session_initialization", 9), event("a", 10), event("b", 20, "Relu"), session("model_run", 40)]


def test_a_profile_is_runs_of_kernels() -> None:
    text = json.dumps([*ONE_RUN, event("a", 12), event("b", 22, "Relu"), session("model_run", 44), event("a", 1)])
    runs, kinds = parse_profile(text, FILE)
    assert runs == [Run(0.04, (0.01, 0.02)), Run(0.044, (0.012, 0.022))]
    assert kinds == [("a", "Conv"), ("b", "Relu")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        json.dumps(ONE_RUN)[:-30],
        "{}",
        "[]",
        "[1, 2]",
        "null",
        json.dumps([event("a", 1)]),
        json.dumps([{"cat": "Node", "name": "a_kernel_time"}, session("model_run", 1)]),
    ],
)
def test_a_torn_or_empty_profile_is_one_sentence(text: str) -> None:
    with pytest.raises(ArtifactError, match=r"model\.onnx (is damaged|holds no run)"):
        parse_profile(text, FILE)


def test_of_each_kernel_the_faster_half_counts_and_all_add_up() -> None:
    runs = [Run(ms, (0.4 * ms, 0.5 * ms)) for ms in (4.0, 1.0, 2.0, 90.0, 3.0)]
    whole, means = quiet_means(runs, FILE)
    assert whole == pytest.approx(2.0) and means == pytest.approx([0.8, 1.0])


def test_interruptions_in_every_run_do_not_show() -> None:
    runs = [Run(60.0, tuple(1.0 + 50.0 * (kernel == run % 4) for kernel in range(4))) for run in range(12)]
    assert quiet_means(runs, FILE) == (10.0, [1.0] * 4)


@pytest.mark.parametrize("runs", [[], [Run(1.0, (1.0,)), Run(1.0, (1.0, 2.0))]])
def test_no_runs_or_unequal_ones_are_told(runs: list[Run]) -> None:
    with pytest.raises(ArtifactError, match=r"model\.onnx"):
        quiet_means(runs, FILE)


def test_reorders_are_traced_through_the_optimised_graph() -> None:
    nodes = [
        onnx.helper.make_node("ReorderInput", ["t0"], ["token_1"], name="ReorderInput_token_9"),
        onnx.helper.make_node("Conv", ["token_1", "token_2", "a.bias"], ["token_3"], name="relu_nchwc"),
        onnx.helper.make_node("ReorderOutput", ["token_3"], ["relu"], name="ReorderOutput_token_7"),
    ]
    bias = onnx.helper.make_tensor("a.bias", onnx.TensorProto.FLOAT, [1], [0.0])
    lineage = lineage_of(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], initializer=[bias])))
    assert lineage["relu_nchwc"].made_of[0] == "a.bias" and "relu" in lineage["relu_nchwc"].made_of
    assert "a.bias" in lineage["ReorderInput_token_9"].beside
    assert "relu" in lineage["ReorderOutput_token_7"].made_of and "a.bias" in lineage["ReorderOutput_token_7"].beside


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_real_profile_is_positive_and_no_longer_than_its_run(name: str, exported) -> None:
    profile = PROFILERS.get(name).profile(exported["logits"].path, threads=1, seconds=0.1)
    assert len(profile.kernels) > 20 and profile.runs >= 5
    assert all(kernel.ms >= 0 and kernel.made_of for kernel in profile.kernels)
    assert 0 < profile.kernels_ms <= 1.05 * profile.run_ms
    assert any(kernel.converts for kernel in profile.kernels)


def test_a_damaged_file_is_one_sentence(tmp_path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no onnx")
    with pytest.raises(ArtifactError, match=r"bad\.onnx"):
        PROFILERS.get("onnxruntime").profile(tmp_path / "bad.onnx", threads=1, seconds=0.1)
