"""Kernels that differ from an exported one in numbers only: other channels, another size.

The exporter takes tens of milliseconds a kernel, and a space needs hundreds that have the same graph. Such a *twin* is
the exported graph with weights of other shapes; what in the graph depends on channels or size is known for the few ONNX
ops that our own modules use, and any other graph is exported by itself.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hwnas.ops.spec import OPS
from hwnas.shapes import Shape

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from hwnas.latency.keys import LatencyKey

COUNTS = frozenset({"in_channels", "channels", "classes"})
"""Arguments of our modules that are numbers of channels."""

PATTERN = 4093
"""A prime, so that no two channels are alike."""

SIZES = frozenset({"height", "width"})
"""Arguments of our modules that are sizes in pixels."""

_ELEMENTWISE = frozenset({"Add", "Clip", "Concat", "HardSigmoid", "HardSwish", "LeakyRelu", "Mul", "Relu", "Sigmoid"})
_SIZE_FREE = _ELEMENTWISE | {"Conv", "ReduceMean"}
_KNOWN = _SIZE_FREE | {"AveragePool", "MaxPool", "Resize"}


def signature(key: LatencyKey, *, sized: bool) -> str:
    """Equal for keys whose graphs differ in channels only (``sized``), or in channels and in height and width."""
    call = OPS.get(key.op).module(key.input_shapes, key.params)
    if not call.source.startswith("hwnas."):
        return key.text  # of other people's modules we do not know what they look at
    left_out = COUNTS if sized else COUNTS | SIZES
    arguments = {name: call.kwargs[name] for name in sorted(call.kwargs) if name not in left_out}
    counts = [call.kwargs[name] for name in sorted(COUNTS) if name in call.kwargs]
    sizes = [shape[1:] if sized else 0 for shape in key.input_shapes]
    # whether a block keeps its channels decides whether it has a shortcut
    kept = len(counts) == len(set(counts))
    return f"{call.class_name}{json.dumps([arguments, kept, sizes, sorted(parameter_shapes(key))])}"


def holds_no_size(model: ModelProto) -> bool:
    """Whether the graph is the same at every height and width."""
    return all(node.op_type in _SIZE_FREE for node in model.graph.node)


def can_have_twins(model: ModelProto) -> bool:
    """Whether everything in the graph that depends on channels is known here."""
    weights = {item.name for item in model.graph.initializer}
    sizes = {node.input[3] for node in model.graph.node if node.op_type == "Resize" and len(node.input) == 4}
    axes = {node.input[1] for node in model.graph.node if node.op_type == "ReduceMean" and len(node.input) == 2}
    named = all(_parameter(name) or name in sizes | axes for name in weights)
    # equal weights of two ops may have been exported once, under the name of the other one
    own = len({name.split(".")[1] for name in weights if _parameter(name)}) <= 1
    return named and own and all(node.op_type in _KNOWN for node in model.graph.node)


@lru_cache(maxsize=65536)  # asked several times of each key, and a module takes milliseconds to build
def parameter_shapes(key: LatencyKey) -> Mapping[str, tuple[int, ...]]:
    """Shapes of the parameters of the key's module, by name; nothing is allocated."""
    import torch

    with torch.device("meta"):
        module = OPS.get(key.op).module(key.input_shapes, key.params).build()
    return {name: tuple(tensor.shape) for name, tensor in module.named_parameters()}


def twin(model: ModelProto, key: LatencyKey, seed: int) -> ModelProto:
    """``model`` with the numbers of ``key``, which has the same :func:`signature`, and random weights."""
    from onnx import ModelProto, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    shapes = parameter_shapes(key)
    rng = np.random.default_rng([seed, zlib.crc32(key.text.encode())])
    weights: dict[str, tuple[int, ...]] = {}
    for item in copy.graph.initializer:
        if name := _parameter(item.name):
            weights[item.name] = _shape_of(name, shapes)
            item.CopyFrom(numpy_helper.from_array(_random(weights[item.name], rng), item.name))
    channels: dict[str, int] = {f"input{slot}": shape[0] for slot, shape in enumerate(key.input_shapes)}
    output = OPS.get(key.op).infer_shape(key.input_shapes, key.params)
    constants = {item.name: item for item in copy.graph.initializer}
    for node in copy.graph.node:
        channels[node.output[0]] = _renumber(node, channels, weights)
        if node.op_type == "Resize":
            sizes = numpy_helper.to_array(constants[node.input[3]]).copy()
            sizes[1] = channels[node.input[0]]
            if len(copy.graph.node) == 1:  # the op is a resize: its size is the key's, not the network's own
                sizes[2:] = output[1:]
            constants[node.input[3]].CopyFrom(numpy_helper.from_array(sizes, node.input[3]))
    for value, shape in zip([*copy.graph.input, *copy.graph.output], [*key.input_shapes, output], strict=True):
        _set_shape(value, shape)
    return copy


def _renumber(node: NodeProto, channels: Mapping[str, int], weights: Mapping[str, tuple[int, ...]]) -> int:
    """Set the groups of a depthwise convolution; returns the channels of the node's output."""
    if node.op_type == "Concat":
        return sum(channels[name] for name in node.input)
    if node.op_type != "Conv":
        return max(channels.get(name, 0) for name in node.input)
    shape = weights[node.input[1]]
    group = next(attribute for attribute in node.attribute if attribute.name == "group")
    group.i = channels[node.input[0]] // shape[1]
    return shape[0]


def _parameter(initializer: str) -> str:
    """``"branches.3.dw.conv.weight"`` → ``"dw.conv.weight"``; empty for a constant that is no parameter."""
    parts = initializer.split(".")
    return ".".join(parts[2:]) if parts[0] == "branches" and len(parts) > 3 else ""


def _shape_of(name: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Of a parameter; a bias that was folded in has its weight's output channels."""
    return shapes[name] if name in shapes else shapes[name.removesuffix("bias") + "weight"][:1]


def _random(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Weights that keep the scale of what they multiply, and biases as of a trained BatchNorm.

    They repeat after ``PATTERN`` numbers: that is quick, costs an engine the same time, and packs well.
    """
    deviation = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.5
    return np.resize(deviation * rng.standard_normal(PATTERN, dtype=np.float32), shape).astype(np.float32)


def _set_shape(value: object, shape: Shape) -> None:
    for place, size in enumerate(shape, start=1):
        value.type.tensor_type.shape.dim[place].dim_value = size  # type: ignore[attr-defined]
