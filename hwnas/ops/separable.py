"""Depthwise separable convolutions: MobileNet's and Fast-SCNN's, and the two of DARTS (arXiv 1806.09055)."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import CHANNELS, DILATION, STRIDE, convolved, integer
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _ds_conv(kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        stride, dilation = integer(params, "stride"), integer(params, "dilation")
        return convolved(shapes[0], integer(params, "channels"), kernel, stride, dilation)

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        return ModuleCall("DSConv", {"in_channels": shapes[0][0], "kernel": kernel, **params})

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        channels, height, width = infer_shape(shapes, params)
        inputs = shapes[0][0]
        return conv_macs((inputs, height, width), 1, kernel) + conv_macs((channels, height, width), inputs)

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        inputs = shapes[0][0]
        return conv_weights(1, inputs, kernel) + conv_weights(inputs, integer(params, "channels"))

    return OpSpec(
        name=f"ds_conv_{kernel}x{kernel}",
        family="separable",
        arity=1,
        defaults={"channels": None, "stride": 1, "dilation": 1},
        rules={"channels": CHANNELS, "stride": STRIDE, "dilation": DILATION},
        infer_shape=infer_shape,
        module=module,
        macs=macs,
        weights=weights,
    )


def _hidden(shapes: Sequence[Shape], params: Params) -> int:
    """Channels between the two halves of a ``sep_conv``."""
    return integer(params, "channels") if params["widen_first"] else shapes[0][0]


def _sep_conv(kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        return convolved(shapes[0], integer(params, "channels"), kernel, integer(params, "stride"))

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        return ModuleCall("SepConv", {"in_channels": shapes[0][0], "kernel": kernel, **params})

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        channels, height, width = infer_shape(shapes, params)
        inputs, hidden = shapes[0][0], _hidden(shapes, params)
        depthwise = conv_macs((inputs + hidden, height, width), 1, kernel)
        return depthwise + conv_macs((hidden, height, width), inputs) + conv_macs((channels, height, width), hidden)

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        inputs, hidden = shapes[0][0], _hidden(shapes, params)
        depthwise = (inputs + hidden) * kernel * kernel
        return depthwise + conv_weights(inputs, hidden) + conv_weights(hidden, integer(params, "channels"))

    return OpSpec(
        name=f"sep_conv_{kernel}x{kernel}",
        family="separable",
        arity=1,
        defaults={"channels": None, "stride": 1, "widen_first": False},
        rules={"channels": CHANNELS, "stride": STRIDE},
        infer_shape=infer_shape,
        module=module,
        macs=macs,
        weights=weights,
    )


def _dil_conv(kernel: int) -> OpSpec:
    dilation = 2

    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        return convolved(shapes[0], integer(params, "channels"), kernel, integer(params, "stride"), dilation)

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        kwargs = {"in_channels": shapes[0][0], "kernel": kernel, "dilation": dilation, **params}
        return ModuleCall("DilConv", kwargs)

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        channels, height, width = infer_shape(shapes, params)
        inputs = shapes[0][0]
        return conv_macs((inputs, height, width), 1, kernel) + conv_macs((channels, height, width), inputs)

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        inputs = shapes[0][0]
        return inputs * kernel * kernel + conv_weights(inputs, integer(params, "channels"))

    return OpSpec(
        name=f"dil_conv_{kernel}x{kernel}",
        family="separable",
        arity=1,
        defaults={"channels": None, "stride": 1},
        rules={"channels": CHANNELS, "stride": STRIDE},
        infer_shape=infer_shape,
        module=module,
        macs=macs,
        weights=weights,
    )


for _kernel in (3, 5):
    OPS.register(f"ds_conv_{_kernel}x{_kernel}", _ds_conv(_kernel))
for _kernel in (3, 5, 7):
    OPS.register(f"sep_conv_{_kernel}x{_kernel}", _sep_conv(_kernel))
for _kernel in (3, 5):
    OPS.register(f"dil_conv_{_kernel}x{_kernel}", _dil_conv(_kernel))
