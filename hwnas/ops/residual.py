"""ResNet's basic block and its bottleneck (arXiv 1512.03385); the bottleneck strides in its 3x3 convolution."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import CHANNELS, DILATION, STRIDE, convolved, integer, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    stride, dilation = integer(params, "stride"), integer(params, "dilation")
    return convolved(shapes[0], integer(params, "channels"), 3, stride, dilation)


def _module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    return ModuleCall("BasicBlock", {"in_channels": shapes[0][0], **params})


def _projects(shapes: Sequence[Shape], params: Params) -> bool:
    return params["stride"] != 1 or shapes[0][0] != params["channels"]


def _macs(shapes: Sequence[Shape], params: Params) -> int:
    out, inputs = _infer_shape(shapes, params), shapes[0][0]
    shortcut = conv_macs(out, inputs) if _projects(shapes, params) else 0
    return conv_macs(out, inputs, 3) + conv_macs(out, out[0], 3) + shortcut


def _weights(shapes: Sequence[Shape], params: Params) -> int:
    inputs, channels = shapes[0][0], integer(params, "channels")
    shortcut = conv_weights(inputs, channels) if _projects(shapes, params) else 0
    return conv_weights(inputs, channels, 3) + conv_weights(channels, channels, 3) + shortcut


OPS.register(
    "basic_block",
    OpSpec(
        name="basic_block",
        family="residual",
        arity=1,
        defaults={"channels": None, "stride": 1, "dilation": 1},
        rules={"channels": CHANNELS, "stride": STRIDE, "dilation": DILATION},
        infer_shape=_infer_shape,
        module=_module,
        macs=_macs,
        weights=_weights,
        fan_in=("first.conv.weight", "shortcut.conv.weight"),
    ),
)


def _bottleneck_hidden(params: Params) -> int:
    return integer(params, "hidden") or max(1, integer(params, "channels") // 4)


def _bottleneck_macs(shapes: Sequence[Shape], params: Params) -> int:
    out, (inputs, height, width), hidden = _infer_shape(shapes, params), shapes[0], _bottleneck_hidden(params)
    shortcut = conv_macs(out, inputs) if _projects(shapes, params) else 0
    inside = conv_macs((hidden, height, width), inputs) + conv_macs((hidden, *out[1:]), hidden, 3)
    return inside + conv_macs(out, hidden) + shortcut


def _bottleneck_weights(shapes: Sequence[Shape], params: Params) -> int:
    inputs, channels, hidden = shapes[0][0], integer(params, "channels"), _bottleneck_hidden(params)
    shortcut = conv_weights(inputs, channels) if _projects(shapes, params) else 0
    return conv_weights(inputs, hidden) + conv_weights(hidden, hidden, 3) + conv_weights(hidden, channels) + shortcut


def _bottleneck_module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    return ModuleCall("Bottleneck", {"in_channels": shapes[0][0], **params, "hidden": _bottleneck_hidden(params)})


OPS.register(
    "bottleneck",
    OpSpec(
        name="bottleneck",
        family="residual",
        arity=1,
        defaults={"channels": None, "hidden": 0, "stride": 1, "dilation": 1},
        rules={"channels": CHANNELS, "hidden": whole(0), "stride": STRIDE, "dilation": DILATION},
        infer_shape=_infer_shape,
        module=_bottleneck_module,
        macs=_bottleneck_macs,
        weights=_bottleneck_weights,
        fan_in=("reduce.conv.weight", "shortcut.conv.weight"),
    ),
)
"""``hidden``: channels inside, 0 for a quarter of the output's."""
