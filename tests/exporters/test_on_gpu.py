"""Engines on an NVIDIA GPU: built, run, compared with PyTorch, timed by the device. Skipped without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from hwnas.exporters.artifact import Artifact, open_artifact
from hwnas.exporters.benchmark import benchmark
from hwnas.exporters.build import export_artifact
from hwnas.exporters.engine import ENGINES
from hwnas.exporters.engine_models import adapter_for, models_for
from hwnas.exporters.kernels import export_ops
from hwnas.exporters.onnx_export import network_as_onnx
from hwnas.exporters.parity import check_parity
from hwnas.exporters.quantized import quantized_to_time
from hwnas.latency.keys import parse_key
from hwnas.latency.measure import ENGINES as TIMED
from hwnas.latency.measure import Setting, gpu_facts, time_callable

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not gpu_facts(), reason="there is no NVIDIA GPU: nvidia-smi finds none"),
]

FORMS = [
    (name, precision)
    for name in ("onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt", "tensorrt-rtx")
    for precision in (("fp32",) if name.startswith("onnxruntime") else ("fp32", "fp16", "int8"))
]


@pytest.fixture(scope="module")
def model(network) -> onnx.ModelProto:
    return network_as_onnx(network)


def exported(engine: str, precision: str, network, genotype, model, folder: Path) -> Artifact:
    found = ENGINES.get(engine).available()
    if not found:
        pytest.skip(f"{found.problem}; {found.hint}")
    if precision == "int8":
        model = quantized_to_time(model, symmetric=True)
    export_artifact(network, genotype, folder, engine=engine, precision=precision, model=model)
    return open_artifact(folder)


@pytest.mark.parametrize(("engine", "precision"), FORMS)
def test_an_engine_gives_what_pytorch_gives(engine, precision, network, genotype, model, images, tmp_path) -> None:
    artifact = exported(engine, precision, network, genotype, model, tmp_path)
    result = check_parity(network, artifact, images)
    assert result.ok and result.images == len(images), result.differences


@pytest.mark.parametrize("engine", ["onnxruntime-cuda", "tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize("scope", ["engine", "copies", "end-to-end"])
def test_an_engine_is_timed_in_every_scope(engine, scope, network, genotype, model, tmp_path) -> None:
    artifact = exported(engine, "fp32", network, genotype, model, tmp_path)
    timed = benchmark(artifact, seconds=0.5, scope=scope)
    assert 0 < timed.p50_ms <= timed.p99_ms and timed.contract.scope == scope


@pytest.mark.parametrize("engine", [name for name, adapter in TIMED.items() if adapter.on_gpu])
def test_the_devices_own_clock_times_a_kernel(engine) -> None:
    found = ENGINES.get(engine).available()
    if not found:
        pytest.skip(f"{found.problem}; {found.hint}")
    (kernel,) = export_ops([parse_key("mbconv_e4_k3(channels=8,dilation=1,stride=1)@8x20x30")])
    graph = models_for(engine).form.kernel(kernel.SerializeToString())
    opened = adapter_for(engine, "fp32").open(graph, Setting(engine, "fp32"))
    assert opened.clock is not None
    samples = time_callable(opened.run, max_seconds=0.2, clock=opened.clock)
    assert samples.device_ms is not None and np.isfinite(samples.device_ms).all() and (samples.device_ms > 0).all()
