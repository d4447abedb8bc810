"""ResNet's basic block (arXiv 1512.03385)."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import CHANNELS, DILATION, STRIDE, convolved, integer
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
