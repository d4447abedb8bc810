"""PyTorch timed as any other engine: texts in place of ONNX, the same program and journal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hwnas.exporters.torch_measure import FORM, assemble_texts, key_texts, module_of
from hwnas.latency.bundle import read_bundle, write_bundle
from hwnas.latency.keys import keys_of, parse_key
from hwnas.latency.measure import read_lines
from hwnas.latency.plan import Plan
from hwnas.latency.reference import ENLARGED, reference_model
from hwnas.ops.spec import OPS
from hwnas.progress import Silent
from tests.exporters.nets import CLASSES, SIZE_HW, graph_of, random_genotype

ADD = parse_key("add()@8x20x30+8x20x30")


def test_a_kernel_is_the_module_of_its_op() -> None:
    graph = graph_of(random_genotype(1))
    for key in {*keys_of(graph).values(), ADD}:
        (text,) = key_texts([key])
        module, shapes = module_of(text)
        output = module(*(torch.zeros(1, *shape) for shape in shapes))
        assert tuple(output.shape[1:]) == OPS.get(key.op).infer_shape(key.input_shapes, key.params)
        assert not module.training


def test_a_net_is_the_network_of_its_graph() -> None:
    graph = graph_of(random_genotype(2))
    network, shapes = module_of(assemble_texts(graph, {}))
    assert keys_of(network.graph) == keys_of(graph)
    assert shapes == [(3, *SIZE_HW)]


def test_the_reference_kernel_has_its_layers() -> None:
    module, shapes = module_of(reference_model())
    assert tuple(module(torch.zeros(1, *shapes[0])).shape) == ENLARGED


@pytest.fixture
def bundle(tmp_path) -> Path:
    genotype = random_genotype(3)
    keys = tuple(dict.fromkeys(keys_of(graph_of(genotype)).values()))[:4]
    plan = Plan("realtime", SIZE_HW, len(CLASSES), keys, {}, (), ())
    return write_bundle(plan, tmp_path / "b.zip", key_texts, assemble_texts, Silent(), form=FORM).path


def test_measuring_runs_as_a_program(bundle, tmp_path) -> None:
    assert read_bundle(bundle).graphs == "torch"
    command = [sys.executable, "-m", "hwnas.exporters.torch_measure", str(bundle), "-o", str(tmp_path / "m.jsonl")]
    command += ["--engine", "torch-eager", "--precision", "fp32", "--passes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"complete": True}
    header, *lines = read_lines(tmp_path / "m.jsonl")
    assert (header["engine"], header["precision"], header["engine_version"]) == (
        "torch-eager",
        "fp32",
        torch.__version__,
    )
    assert not [line for line in lines if "error" in line]
