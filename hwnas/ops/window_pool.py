"""Mean over a large fixed window with large strides: the gate of MobileNetV3's and SqueezeNAS's LR-ASPP."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import integer, whole
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    channels, height, width = shapes[0]
    kernel = integer(params, "kernel")
    rows = (height - min(kernel, height)) // integer(params, "row_stride") + 1
    return channels, rows, (width - min(kernel, width)) // integer(params, "column_stride") + 1


def _module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    stride = (integer(params, "row_stride"), integer(params, "column_stride"))
    return ModuleCall("WindowPool", {"kernel": params["kernel"], "stride": stride})


OPS.register(
    "window_pool",
    OpSpec(
        name="window_pool",
        family="pooling",
        arity=1,
        defaults={"kernel": None, "row_stride": None, "column_stride": None},
        rules={"kernel": whole(1), "row_stride": whole(1), "column_stride": whole(1)},
        infer_shape=_infer_shape,
        module=_module,
        per_channel=True,
    ),
)
"""Without padding; a window larger than the map is cut to it (the original fails there)."""
