from __future__ import annotations

import logging
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from hwnas.compiler.network import compile_graph
from hwnas.errors import ArtifactError
from hwnas.exporters.onnx_export import NODE_KEY, OPSET, export_modules, export_network
from hwnas.ir.opgraph import GraphBuilder
from hwnas.ops.spec import OPS, ModuleCall, OpSpec


def run(model: onnx.ModelProto, *inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


@pytest.fixture(scope="module")
def model(exported) -> onnx.ModelProto:
    return onnx.load(exported["logits"].path)


def test_ends_are_named_typed_and_static(model, network) -> None:
    (image,), (logits,) = model.graph.input, model.graph.output
    shape = network.graph.shape("image")
    assert (image.name, logits.name) == ("image", "logits")
    assert [d.dim_value for d in image.type.tensor_type.shape.dim] == [1, *shape]
    assert [d.dim_value for d in logits.type.tensor_type.shape.dim] == [1, 5, *shape[1:]]
    assert [(item.domain, item.version) for item in model.opset_import] == [("", OPSET)]
    assert not model.functions


def test_no_batchnorm_and_no_external_data(model) -> None:
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    assert all(item.data_location == onnx.TensorProto.DEFAULT for item in model.graph.initializer)


def test_every_onnx_node_names_its_op_graph_node(model, network) -> None:
    known = {node.name for node in network.graph.nodes}
    origins = {property.value for node in model.graph.node for property in node.metadata_props}
    assert origins == known - {node.name for node in network.graph.nodes if node.op == "skip_connect"}
    for node in model.graph.node:
        assert [p.key for p in node.metadata_props] == [NODE_KEY]
        assert node.name.startswith(node.metadata_props[0].value + "/")
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)


def test_sums_inside_an_op_are_named_after_it(tmp_path) -> None:
    """Both read a node before theirs, too: the block's own input."""
    builder = GraphBuilder((8, 32, 32))
    first = builder.add("first", "basic_block", ["image"], {"channels": 8})
    second = builder.add("second", "mbconv_e2_k3", [first], {"channels": 8})
    graph = builder.finish(builder.add("classifier", "seg_head", [second], {"classes": 3}))
    export_network(compile_graph(graph, seed=0), tmp_path / "model.onnx")
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    assert [node.name for node in nodes if node.op_type == "Add"] == ["first/Add_1", "second/Add_1"]


def test_nothing_of_the_exporting_machine_is_in_the_file(exported) -> None:
    raw = exported["logits"].path.read_bytes()
    assert b"/torch/" not in raw and b"site-packages" not in raw and b".py" not in raw


def test_labels_are_the_argmax_as_uint8(exported, network, images) -> None:
    x = np.random.default_rng(0).standard_normal((1, *network.graph.shape("image")), dtype=np.float32)
    labels = run(onnx.load(exported["labels"].path), x)
    logits = run(onnx.load(exported["logits"].path), x)
    assert labels.dtype == np.uint8 and labels.shape == (1, *x.shape[2:])
    np.testing.assert_array_equal(labels, logits.argmax(1))


def test_export_is_silent_and_leaves_the_network_as_it_was(network, tmp_path, caplog, capfd) -> None:
    network.train()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with caplog.at_level(logging.WARNING):
                export_network(network, tmp_path / "model.onnx", metadata={"note": "kept"})
        assert network.training and all(p.requires_grad for p in network.parameters())
    finally:
        network.eval()
    assert not caught and not caplog.records and capfd.readouterr() == ("", "")
    model = onnx.load(tmp_path / "model.onnx")
    assert {p.key: p.value for p in model.metadata_props} == {"note": "kept"}


def test_many_modules_are_split_in_order() -> None:
    class Minus(nn.Module):
        def forward(self, a, b):
            return a - b

    modules = [(nn.Conv2d(3, 4, 3), [(3, 9, 7)]), (Minus(), [(2, 5, 5), (2, 5, 5)]), (nn.Identity(), [(1, 4, 4)])]
    rng = np.random.default_rng(0)
    for (module, shapes), model in zip(modules, export_modules(modules), strict=True):
        onnx.checker.check_model(model, full_check=True)
        inputs = [rng.standard_normal((1, *shape), dtype=np.float32) for shape in shapes]
        assert [item.name for item in model.graph.input] == [f"input{slot}" for slot in range(len(shapes))]
        with torch.no_grad():
            expected = module(*map(torch.from_numpy, inputs)).numpy()
        np.testing.assert_allclose(run(model, *inputs), expected, rtol=1e-4, atol=1e-5)


class NoOnnx(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


@pytest.fixture
def bad_op(monkeypatch):
    def call(shapes, params):
        return ModuleCall("NoOnnx", {}, source=__name__)

    spec = OpSpec("bessel", "test", 1, {}, infer_shape=lambda shapes, params: shapes[0], module=call)
    OPS.get("add")  # loads the registry
    monkeypatch.setitem(OPS._items, "bessel", spec)


def test_an_op_without_onnx_is_named_with_its_node(bad_op, tmp_path) -> None:
    builder = GraphBuilder((3, 32, 32))
    stem = builder.add("stem/conv", "conv_3x3", ["image"], {"channels": 4})
    odd = builder.add("stage1/odd", "bessel", [stem])
    graph = builder.finish(builder.add("classifier", "seg_head", [odd], {"classes": 3}))
    with pytest.raises(ArtifactError, match=r"node 'stage1/odd' \(bessel\) cannot be exported") as refused:
        export_network(compile_graph(graph, seed=0), tmp_path / "model.onnx")
    assert "such as" in refused.value.hint
    assert not list(tmp_path.iterdir())
