"""The reference kernel: one fixed small net that is timed beside everything else, to see how fast the machine is now.

It is the same in every bundle and beside every benchmark, so that the reference times of two timing contracts say how
much slower the machine was at the one than at the other. It does what real-time networks do: a dense convolution, a
depthwise one, a 1x1 convolution and a bilinear resize, about a millisecond's worth on a server core.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SHAPE = (1, 32, 48, 64)
WIDTH = 64
ENLARGED = (1, 16, 192, 256)


def reference_model() -> bytes:
    """The ONNX model, always the same bytes for one version of onnx; input ``image`` and output ``values`` float32."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def constant(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(rng.normal(scale=0.05, size=shape).astype(np.float32), name)

    constants = [
        constant("dense", WIDTH, SHAPE[1], 3, 3),
        constant("depthwise", WIDTH, 1, 3, 3),
        constant("pointwise", ENLARGED[1], WIDTH, 1, 1),
        numpy_helper.from_array(np.array(ENLARGED, np.int64), "size"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "dense"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "depthwise"], ["c"], pads=[1, 1, 1, 1], group=WIDTH),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "pointwise"], ["e"]),
        helper.make_node("Resize", ["e", "", "", "size"], ["values"], mode="linear"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", SHAPE), ("values", ENLARGED))
    ]
    graph = helper.make_graph(nodes, "reference", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())
