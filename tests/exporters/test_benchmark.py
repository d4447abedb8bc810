from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.benchmark import BenchmarkResult, benchmark, summarise, time_blocks
from hwnas.latency.contract import TimingContract
from hwnas.latency.measure import Samples

CONTRACT = TimingContract("cpu", 2, "onnxruntime", "1", "fp32", 1, (8, 8))


def block(wall_ms: list[float], disturbed: list[bool]) -> Samples:
    return Samples(np.array(wall_ms), np.array(wall_ms), np.array(disturbed), 2, 3)


def test_percentiles_leave_disturbed_samples_out_but_worst_does_not() -> None:
    values = [float(value) for value in range(1, 101)]
    result = summarise([block(values, [False] * 100), block([500.0] * 20, [True] * 20)], CONTRACT)
    assert result.p50_ms == pytest.approx(50.5) and result.p99_ms == pytest.approx(99.01)
    assert result.worst_ms == 500 and result.fps == pytest.approx(1000 / 50.5)
    assert result.runs == 240 and result.disturbed == pytest.approx(20 / 120)


def test_all_samples_count_where_few_are_undisturbed() -> None:
    result = summarise([block([1.0] * 9 + [3.0] * 91, [False] * 9 + [True] * 91)], CONTRACT)
    assert result.p50_ms == 3


def test_a_machine_that_interrupts_most_samples_is_chosen_on_by_cpu_time() -> None:
    wall, cpu = np.full(40, 9.0), np.full(40, 3.0)

    def result(interrupted: int, threads: int = 1) -> BenchmarkResult:
        samples = Samples(wall, cpu, np.arange(40) < interrupted, 1, 3)
        return summarise([samples], dataclasses.replace(CONTRACT, threads=threads))

    assert [result(interrupted).alone("p50") for interrupted in (0, 20, 21, 40)] == [9, 9, 3, 3]
    assert result(40).at("p50") == result(40).alone("p90") == result(40, threads=2).alone("p50") == 9


def test_disturbed_blocks_are_repeated_within_limits(monkeypatch) -> None:
    calls = []

    def timer(disturbed: list[bool]):
        def time_callable(run, **kwargs) -> Samples:
            calls.append(kwargs["max_seconds"])
            bad = disturbed[min(len(calls), len(disturbed)) - 1]
            return block([1.0] * 10, [bad] * 10)

        return time_callable

    monkeypatch.setattr("hwnas.exporters.benchmark.time_callable", timer([True, False, True, False]))
    assert len(time_blocks(lambda: time.sleep(0.002), seconds=1.0)) == 4  # two good blocks of half a second
    calls.clear()
    monkeypatch.setattr("hwnas.exporters.benchmark.time_callable", timer([True]))
    assert len(time_blocks(lambda: time.sleep(0.002), seconds=1.0)) == 6


def test_a_known_duration_is_measured() -> None:
    result = summarise(time_blocks(lambda: time.sleep(0.002), seconds=0.3), CONTRACT)
    assert 2.0 <= result.p50_ms < 6.0
    assert result.cpu_p50_ms < 1.0
    assert result.p50_ms <= result.p90_ms <= result.p99_ms <= result.worst_ms


def test_an_artifact_with_its_contract(exported) -> None:
    result = benchmark(exported["logits"], seconds=0.2)
    contract = result.contract
    assert (contract.engine, contract.precision, contract.threads, contract.scope) == (
        "onnxruntime",
        "fp32",
        1,
        "engine",
    )
    assert contract.size_hw == (70, 102) and contract.inside == ("upsampling",) and contract.clock == "wall"
    labels = benchmark(exported["labels"], seconds=0.1, threads=2).contract
    assert labels.differences(contract) == ["threads", "inside"]
    document = json.loads(json.dumps(result.to_dict()))
    assert {"p50_ms", "p90_ms", "p99_ms", "worst_ms", "fps", "contract"} <= set(document)
    assert TimingContract.from_dict(document["contract"]) == contract


def test_the_reference_kernel_is_timed_beside(exported) -> None:
    contracts = [benchmark(exported[kind], seconds=0.6).contract for kind in ("logits", "labels")]
    assert all(contract.reference_ms > 0.05 and contract.reference_drift >= 0 for contract in contracts)
    assert contracts[1].slowdown_since(contracts[0]) == pytest.approx(0, abs=0.9)


def test_a_bare_onnx_file_can_be_timed(exported) -> None:
    assert benchmark(Artifact(exported["logits"].path), seconds=0.1).contract.precision == "unknown"


def test_unknown_scope_and_percentile(exported) -> None:
    with pytest.raises(HwnasError, match="scope 'everything'"):
        benchmark(exported["logits"], scope="everything")
    with pytest.raises(HwnasError, match="p51"):
        summarise([block([1.0] * 20, [False] * 20)], CONTRACT).at("p51")
