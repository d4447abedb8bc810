"""Graphs for several images at a time: the exporter writes one for a single image, with every shape static."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto

COPIED = 0
"""In the shape that a Reshape is given: the input's own size."""


def batched(model: ModelProto, batch: int | None) -> ModelProto:
    """A copy of ``model``, exported for one image, that takes ``batch`` of them, or with None any number.

    Besides the ends, only the sizes and shapes that a Resize or a Reshape is given know the number of images.
    """
    from onnx import ModelProto, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for end in [*copy.graph.input, *copy.graph.output]:
        first = end.type.tensor_type.shape.dim[0]
        first.Clear()
        if batch is None:
            first.dim_param = "batch"
        else:
            first.dim_value = batch
    sizes, shapes = _given(copy, "Resize", 3), _given(copy, "Reshape", 1)
    if batch is None:
        _resize_planes_only(copy)
    for item in copy.graph.initializer:
        if item.name not in sizes | shapes:
            continue
        values = numpy_helper.to_array(item)
        if item.name in sizes:
            changed = values[2:] if batch is None else np.concatenate([[batch], values[1:]])
        else:
            first_size = COPIED if batch is None else batch
            changed = np.concatenate([[first_size if values[0] == 1 else values[0]], values[1:]])
        item.CopyFrom(numpy_helper.from_array(changed.astype(values.dtype), item.name))
    return copy


def _given(model: ModelProto, kind: str, slot: int) -> set[str]:
    """Names of the constants that nodes of a kind take in a place."""
    return {node.input[slot] for node in model.graph.node if node.op_type == kind and len(node.input) > slot}


def _resize_planes_only(model: ModelProto) -> None:
    """Let every Resize name the axes that its sizes are of: height and width."""
    from onnx import helper

    for node in model.graph.node:
        if node.op_type == "Resize" and len(node.input) > 3:
            node.attribute.append(helper.make_attribute("axes", [2, 3]))
