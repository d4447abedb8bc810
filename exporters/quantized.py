"""Eight-bit forms of ONNX graphs (QDQ), made by ONNX Runtime's own quantizer from the range of every tensor.

Weights are int8 by channel, activations uint8 by tensor; ``symmetric`` ones are int8 without zero points and with float
biases, as TensorRT wants them. A graph that is to be timed needs no calibration: what an engine makes of it depends on
which tensors are quantized and on whether their ranges begin at zero, not on how far they reach.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwnas.optional import require

if TYPE_CHECKING:
    from onnx import ModelProto

Ranges = Mapping[str, tuple[float, float]]
"""Tensor → its least and greatest value."""

PLAUSIBLE = 3.0
"""Standard deviations that a normalised activation reaches."""
_NOT_NEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Clip", "Softmax"})


def quantize(
    model: ModelProto, ranges: Ranges, *, symmetric: bool = False, keep_float: Collection[str] = ()
) -> ModelProto:
    """``model`` (float, static shapes) with everything quantized that ONNX Runtime can; ``model`` stays as it is.

    But for the ONNX nodes of the names ``keep_float``.
    ``ranges`` must have every tensor that is neither a weight nor an index. Inputs and outputs stay float.
    """
    import numpy as np
    from onnx.shape_inference import infer_shapes

    quantization = require("onnxruntime.quantization", extra="cpu")
    calibrate = require("onnxruntime.quantization.calibrate", extra="cpu")
    registry = require("onnxruntime.quantization.registry", extra="cpu")
    data = {
        name: calibrate.TensorData(lowest=np.float32(low), highest=np.float32(high))
        for name, (low, high) in ranges.items()
    }
    kinds = quantization.QuantType
    quantizer = quantization.QDQQuantizer(
        infer_shapes(model),  # a copy; without the types in between, nothing would be quantized
        per_channel=True,
        reduce_range=False,
        weight_qType=kinds.QInt8,
        activation_qType=kinds.QInt8 if symmetric else kinds.QUInt8,
        tensors_range=calibrate.TensorsData(calibrate.CalibrationMethod.MinMax, data),
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(keep_float),
        op_types_to_quantize=sorted({*registry.QLinearOpsRegistry, *registry.QDQRegistry}),
        extra_options={"ActivationSymmetric": True, "QuantizeBias": False} if symmetric else {},
    )
    with _quiet():
        quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized: ModelProto = quantizer.model.model
    del quantized.graph.value_info[:]
    return quantized


def plausible_ranges(model: ModelProto) -> dict[str, tuple[float, float]]:
    """Ranges as of a network of normalised activations, for graphs that are only timed."""
    ranges = {end.name: (-PLAUSIBLE, PLAUSIBLE) for end in model.graph.input}
    for node in model.graph.node:
        low = 0.0 if node.op_type in _NOT_NEGATIVE else -PLAUSIBLE
        ranges.update(dict.fromkeys(node.output, (low, PLAUSIBLE)))
    return ranges


def quantized_to_time(model: ModelProto, *, symmetric: bool = False) -> ModelProto:
    """The eight-bit form of a whole network for timing."""
    return quantize(model, plausible_ranges(model), symmetric=symmetric)


def quantized_kernel(model: ModelProto, *, symmetric: bool = False) -> ModelProto:
    """The eight-bit form of a kernel, cut where a quantized network hands on its tensors: as bytes.

    An input that is quantized first thing becomes an input of bytes, an output that is dequantized at the end an output
    of bytes; inside a network, those steps happen at its ends only.
    """
    quantized = quantized_to_time(model, symmetric=symmetric)
    graph = quantized.graph
    kinds = _kinds_of_bytes(quantized)
    for end in graph.input:
        readers = [node for node in graph.node if end.name in node.input]
        if readers and all(node.op_type == "QuantizeLinear" for node in readers):
            for node in readers:
                _rename(quantized, node.output[0], end.name)
                graph.node.remove(node)
            end.type.tensor_type.elem_type = kinds
    for end in graph.output:
        maker = next(node for node in graph.node if end.name in node.output)
        if maker.op_type == "DequantizeLinear":
            graph.node.remove(maker)
            _rename(quantized, maker.input[0], end.name)
            end.type.tensor_type.elem_type = kinds
    return quantized


def _kinds_of_bytes(model: ModelProto) -> int:
    """ONNX's type of the quantized activations."""
    weights = {item.name: item for item in model.graph.initializer}
    points = [weights[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return int(points[0].data_type) if points else 0


def _rename(model: ModelProto, old: str, new: str) -> None:
    """Call a tensor by another name wherever it is made or read."""
    for node in model.graph.node:
        for side in (node.input, node.output):
            side[:] = [new if name == old else name for name in side]


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer logs advice, by the root logger."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
