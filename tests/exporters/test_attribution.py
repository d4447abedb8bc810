"""Kernels back to nodes: by name, by tensor, by weight, through fusion and through what quantizers add."""

from __future__ import annotations

from onnx import NodeProto, TensorProto, helper

from hwnas.exporters.attribution import attribute, origins_of_onnx
from hwnas.exporters.onnx_export import NODE_KEY
from hwnas.exporters.profiler import Kernel


def node(kind: str, name: str, inputs: list[str], outputs: list[str], origin: str = "") -> NodeProto:
    made = helper.make_node(kind, inputs, outputs, name=name)
    if origin:
        made.metadata_props.add(key=NODE_KEY, value=origin)
    return made


def model(nodes: list[NodeProto], weights: tuple[str, ...] = ("a.weight", "shared")):
    tensors = [helper.make_tensor(name, TensorProto.FLOAT, [1], [1.0]) for name in weights]
    return helper.make_model(helper.make_graph(nodes, "g", [], [], initializer=tensors))


CHAIN = model(
    [
        node("Conv", "a/Conv_1", ["image", "a.weight", "shared"], ["t1"], "a"),
        node("Relu", "a/Relu_1", ["t1"], ["t2"], "a"),
        node("Add", "sum/Add_1", ["t2", "image"], ["t3"], "sum"),
        node("Relu", "relu/Relu_1", ["t3"], ["t4"], "relu"),
        node("Resize", "up/Resize_1", ["t4", "", "shared"], ["out"], "up"),
    ]
)


def kernel(name: str, *made_of: str) -> Kernel:
    return Kernel(name, "K", 1.0, made_of or (name,))


def test_nodes_tensors_and_weights_are_known_by_their_node() -> None:
    origins = origins_of_onnx(CHAIN)
    found = {name: origins.of[name] for name in ("a/Conv_1", "t1", "t2", "a.weight", "t3", "out")}
    assert found == {"a/Conv_1": "a", "t1": "a", "t2": "a", "a.weight": "a", "t3": "sum", "out": "up"}
    assert "shared" not in origins.of
    assert origins.kinds["a"] == ("Conv", "Relu") and origins.reads["sum"] == ("a",)


def test_every_kernel_goes_to_the_first_name_that_is_known() -> None:
    kernels = [kernel("fused", "nonsense", "t2"), kernel("up/Resize_1"), kernel("odd", "nowhere")]
    found = attribute(kernels, origins_of_onnx(CHAIN))
    assert {name: [k.name for k in own] for name, own in found.kernels.items()} == {
        "a": ["fused"],
        "up": ["up/Resize_1"],
    }
    assert [k.name for k in found.unattributed] == ["odd"]


def test_nodes_without_a_kernel_are_inside_the_one_that_was_fused_with_them() -> None:
    told = attribute([kernel("fused", "a/Conv_1", "sum/Add_1", "t4"), kernel("up/Resize_1")], origins_of_onnx(CHAIN))
    guessed = attribute([kernel("fused", "a/Conv_1"), kernel("up/Resize_1")], origins_of_onnx(CHAIN))
    assert told.inside == guessed.inside == {"sum": "a", "relu": "a"}


def test_a_kernel_that_only_serves_goes_to_the_nearest_and_holds_nothing_else() -> None:
    reorder = Kernel("reorder", "ReorderInput", 1.0, ("token",), beside=("nowhere", "t2", "t4"), converts=True)
    found = attribute([reorder, kernel("up/Resize_1"), kernel("relu/Relu_1")], origins_of_onnx(CHAIN))
    assert found.kernels["a"] == (reorder,) and set(found.kernels) == {"a", "relu", "up"}


def test_what_a_quantizer_adds_goes_with_its_neighbours() -> None:
    quantized = model(
        [
            node("QuantizeLinear", "q0", ["image", "s"], ["image_q"]),
            node("DequantizeLinear", "d0", ["image_q", "s"], ["image_d"]),
            node("Conv", "a/Conv_1", ["image_d", "a.weight"], ["t1"], "a"),
            node("QuantizeLinear", "q1", ["t1", "s"], ["t1_q"]),
            node("DequantizeLinear", "d1", ["t1_q", "s"], ["t1_d"]),
            node("Resize", "up/Resize_1", ["t1_d"], ["out"], "up"),
        ]
    )
    origins = origins_of_onnx(quantized)
    assert [origins.of[name] for name in ("q0", "d0", "q1", "d1")] == ["a", "a", "a", "a"]
    assert set(origins.kinds) == {"a", "up"}


def test_a_file_of_others_has_its_own_nodes() -> None:
    origins = origins_of_onnx(model([node("Conv", "first", ["x"], ["y"]), node("Relu", "", ["y"], ["z"])]))
    assert set(origins.kinds) == {"first", "Relu_1"}
    assert origins.reads["Relu_1"] == ("first",)
