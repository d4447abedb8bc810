"""The last op of a segmentation network: features to logits, at once or after a 3x3 convolution."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import CHANNELS, integer, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    return integer(params, "classes"), shapes[0][1], shapes[0][2]


def _module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    return ModuleCall("SegHead", {"in_channels": shapes[0][0], **params})


def _macs(shapes: Sequence[Shape], params: Params) -> int:
    return conv_macs(_infer_shape(shapes, params), shapes[0][0])


def _weights(shapes: Sequence[Shape], params: Params) -> int:
    return integer(params, "classes") * (shapes[0][0] + 1)


OPS.register(
    "seg_head",
    OpSpec(
        name="seg_head",
        family="head",
        arity=1,
        defaults={"classes": None},
        rules={"classes": whole(1)},
        infer_shape=_infer_shape,
        module=_module,
        macs=_macs,
        weights=_weights,
        fan_in=("conv.weight",),
    ),
)


def _deep_module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    return ModuleCall("ConvSegHead", {"in_channels": shapes[0][0], **params})


def _deep_macs(shapes: Sequence[Shape], params: Params) -> int:
    channels, (inputs, height, width) = integer(params, "channels"), shapes[0]
    return conv_macs((channels, height, width), inputs, 3) + conv_macs(_infer_shape(shapes, params), channels)


def _deep_weights(shapes: Sequence[Shape], params: Params) -> int:
    channels = integer(params, "channels")
    return conv_weights(shapes[0][0], channels, 3) + integer(params, "classes") * (channels + 1)


OPS.register(
    "conv_seg_head",
    OpSpec(
        name="conv_seg_head",
        family="head",
        arity=1,
        defaults={"channels": None, "classes": None},
        rules={"channels": CHANNELS, "classes": whole(1)},
        infer_shape=_infer_shape,
        module=_deep_module,
        macs=_deep_macs,
        weights=_deep_weights,
        fan_in=("first.conv.weight",),
    ),
)
"""BiSeNet's head (arXiv 1808.00897), as in FasterSeg: 3x3 convolution to ``channels``, 1x1 with bias to the logits."""
