"""Graphs for several images at a time: the exporter writes one, with every shape static."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto


def batched(model: ModelProto, batch: int) -> ModelProto:
    """A copy of ``model``, exported for one image, that takes ``batch`` of them.

    Besides the ends, only the sizes that a resize is given know the number of images.
    """
    from onnx import ModelProto, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for end in [*copy.graph.input, *copy.graph.output]:
        end.type.tensor_type.shape.dim[0].dim_value = batch
    sizes = {node.input[3] for node in copy.graph.node if node.op_type == "Resize" and len(node.input) > 3}
    for item in copy.graph.initializer:
        if item.name in sizes:
            values = numpy_helper.to_array(item)
            item.CopyFrom(
                numpy_helper.from_array(np.concatenate([[batch], values[1:]]).astype(values.dtype), item.name)
            )
    return copy
