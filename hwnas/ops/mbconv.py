"""Inverted residual blocks (MobileNetV2, arXiv 1801.04381) of several expansions and kernels."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import CHANNELS, DILATION, STRIDE, convolved, integer
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape, Value


def _mbconv(expansion: int, kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        stride, dilation = integer(params, "stride"), integer(params, "dilation")
        return convolved(shapes[0], integer(params, "channels"), kernel, stride, dilation)

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        kwargs: dict[str, Value] = {"in_channels": shapes[0][0], "kernel": kernel, "expansion": expansion, **params}
        return ModuleCall("MBConv", kwargs)

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        inputs, in_height, in_width = shapes[0]
        channels, height, width = infer_shape(shapes, params)
        hidden = inputs * expansion
        expand = conv_macs((hidden, in_height, in_width), inputs) if expansion > 1 else 0
        depthwise = conv_macs((hidden, height, width), 1, kernel)
        return expand + depthwise + conv_macs((channels, height, width), hidden)

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        inputs = shapes[0][0]
        hidden = inputs * expansion
        expand = conv_weights(inputs, hidden) if expansion > 1 else 0
        return expand + conv_weights(1, hidden, kernel) + conv_weights(hidden, integer(params, "channels"))

    return OpSpec(
        name=f"mbconv_e{expansion}_k{kernel}",
        family="mbconv",
        arity=1,
        defaults={"channels": None, "stride": 1, "dilation": 1},
        rules={"channels": CHANNELS, "stride": STRIDE, "dilation": DILATION},
        infer_shape=infer_shape,
        module=module,
        macs=macs,
        weights=weights,
        fan_in=("expand.conv.weight",) if expansion > 1 else (),
    )


for _expansion in (1, 2, 3, 4, 6):
    for _kernel in (3, 5, 7):
        OPS.register(f"mbconv_e{_expansion}_k{_kernel}", _mbconv(_expansion, _kernel))
