"""Eight-bit graphs: the structure that calibration would give, and kernels cut where nets hand on bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from hwnas.exporters.fragments import assemble
from hwnas.exporters.kernels import export_ops
from hwnas.exporters.quantized import plausible_ranges, quantize, quantized_kernel, quantized_to_time
from hwnas.latency.keys import keys_of, parse_key
from tests.exporters.nets import graph_of, random_genotype

CONV = parse_key("conv_3x3(activation='relu',channels=8,dilation=1,groups=1,stride=1)@6x20x30")
MBCONV = parse_key("mbconv_e4_k3(channels=8,dilation=1,stride=1)@8x20x30")


@pytest.fixture(scope="module")
def graph():
    return graph_of(random_genotype(1))


@pytest.fixture(scope="module")
def fragments(graph) -> dict[str, onnx.ModelProto]:
    keys = list({*keys_of(graph).values(), CONV, MBCONV})
    return {key.text: model for key, model in zip(keys, export_ops(keys), strict=True)}


def optimised(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """The kinds of kernel that ONNX Runtime makes of a model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: image})[0])


class Noise(CalibrationDataReader):  # type: ignore[misc]
    """Two random images."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        self.left = [{name: rng.standard_normal(shape, dtype=np.float32)} for _ in range(2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


def test_ranges_without_calibration_give_the_structure_that_calibration_gives(graph, fragments, tmp_path) -> None:
    net = assemble(graph, fragments)
    onnx.save(net, tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "static.onnx",
        Noise("image", (1, *graph.shape("image"))),
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
    )
    ours, theirs = quantized_to_time(net), onnx.load(tmp_path / "static.onnx")
    assert Counter(n.op_type for n in ours.graph.node) == Counter(n.op_type for n in theirs.graph.node)
    kernels = optimised(ours, tmp_path)
    assert kernels == optimised(theirs, tmp_path)
    assert kernels["QLinearConv"] > 10 and kernels["Conv"] + kernels["FusedConv"] == 0


def test_a_kernel_begins_and_ends_with_bytes(fragments, tmp_path) -> None:
    made = quantized_kernel(fragments[MBCONV.text])
    onnx.checker.check_model(made, full_check=True)
    ends = [*made.graph.input, *made.graph.output]
    assert [end.type.tensor_type.elem_type for end in ends] == [TensorProto.UINT8] * 2
    assert [end.name for end in ends] == ["input0", "output"]
    assert set(optimised(made, tmp_path)) <= {"QLinearConv", "QLinearAdd", "Transpose"}


def test_kernels_hold_what_the_net_holds(graph, fragments, tmp_path) -> None:
    """All kernels of a net together have its convolutions, sums and so on; conversions only it needs at its ends."""
    net = optimised(quantized_to_time(assemble(graph, fragments)), tmp_path)
    sums: Counter[str] = Counter()
    for key in keys_of(graph).values():
        sums += optimised(quantized_kernel(fragments[key.text]), tmp_path)
    for kind in ("QLinearConv", "QLinearAdd", "QLinearConcat", "Resize", "QLinearMul"):
        assert sums[kind] == net[kind], kind
    assert sums["QuantizeLinear"] < net["QuantizeLinear"]


def test_with_the_true_ranges_it_computes_nearly_the_same(fragments) -> None:
    model = fragments[CONV.text]
    image = np.random.default_rng(0).standard_normal((1, 6, 20, 30), dtype=np.float32)
    exact = run(model, image)
    reach = float(np.abs(image).max())
    ranges = {**plausible_ranges(model), "input0": (-reach, reach), "output": (0.0, float(exact.max()))}
    made = run(quantize(model, ranges), image)
    assert np.abs(made - exact).max() < 0.03 * exact.max()


def test_symmetric_graphs_have_no_zero_points_and_float_biases(fragments) -> None:
    made = quantized_to_time(fragments[CONV.text], symmetric=True)
    weights = {item.name: numpy_helper.to_array(item) for item in made.graph.initializer}
    points = [weights[node.input[2]] for node in made.graph.node if node.op_type.endswith("quantizeLinear")]
    assert points and all(point.dtype == np.int8 and not point.any() for point in points)
    assert all(values.dtype != np.int32 for values in weights.values())


def test_the_float_model_is_left_as_it_was(fragments) -> None:
    before = fragments[CONV.text].SerializeToString()
    quantized_kernel(fragments[CONV.text])
    assert fragments[CONV.text].SerializeToString() == before
