"""A tiny space, and an exporter of toy ONNX models: what is timed does not matter to these tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.spaces.base import Candidate, Choice
from hwnas.spaces.decisions import random_decisions


class TinySpace:
    """Two stages of one or two blocks, and a decoder that may fuse the first."""

    name = "tiny"
    choices = (
        Choice("stem", (8, 16)),
        Choice("width1", (8, 16)),
        Choice("width2", (16, 32)),
        Choice("depth", (1, 2)),
        Choice("block1", ("conv_3x3", "ds_conv_3x3", "mbconv_e2_k3")),
        Choice("block2", ("conv_3x3", "basic_block"), {"depth": (2,)}),
        Choice("fuse", (False, True)),
    )

    def sample(self, rng):
        return random_decisions(self, rng)

    def decode(self, decisions):
        nodes = [Node("block1", decisions["block1"], ("x",))]
        if decisions["depth"] == 2:
            nodes.append(Node("block2", decisions["block2"], ("block1",)))
        stage = Cell.of(["x"], nodes, nodes[-1].name)
        decoder = [Node("context", "conv_1x1", ("stage2",))]
        if decisions["fuse"]:
            decoder += [Node("lateral", "conv_1x1", ("stage1",)), Node("fused", "add", ("context", "lateral"))]
        inputs = ["stage2", "stage1"] if decisions["fuse"] else ["stage2"]
        cells = {"stage1": stage, "stage2": stage, "decoder": Cell.of(inputs, decoder, decoder[-1].name)}
        params = {
            "stem_width": decisions["stem"],
            "widths": (decisions["width1"], decisions["width2"]),
            "head_width": 16,
            "dilated_stages": 0,
        }
        return Candidate(Genotype("tiny", "encoder_decoder", cells, params))


def toy_model(shapes: Sequence[tuple[int, int, int]], depth: int) -> bytes:
    """An ONNX model of ``depth`` activations on the first of its inputs."""
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, [1, *s]) for i, s in enumerate(shapes)]
    output = helper.make_tensor_value_info(f"y{depth}", TensorProto.FLOAT, [1, *shapes[0]])
    nodes = [helper.make_node("Sigmoid", [f"y{i}" if i else "x0"], [f"y{i + 1}"]) for i in range(depth)]
    graph = helper.make_graph(nodes, "toy", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


class ToyExporter:
    """Keys and graphs as toy models; counts what it was asked for."""

    def __init__(self, broken: str = "") -> None:
        self.exported = 0
        self.broken = broken

    def export_ops(self, keys):
        for key in keys:
            self.exported += 1
            yield b"nonsense" if key.op == self.broken else toy_model(key.input_shapes, 2)

    def assemble(self, graph, fragments: Mapping[str, bytes]) -> bytes:
        assert fragments
        return toy_model([graph.shape(graph.input)], len(graph.nodes))


@pytest.fixture
def space():
    return TinySpace()


@pytest.fixture
def exporter():
    return ToyExporter()


@pytest.fixture
def rng():
    return np.random.default_rng(0)
