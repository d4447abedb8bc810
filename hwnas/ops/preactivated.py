"""Convolutions behind a ReLU, as cells are made of: NASNet's (arXiv 1707.07012), DARTS's, NAS-Bench-201's (2001.00326).

``nor_conv_KxK`` is ReLU, convolution, BatchNorm; ``conv_Kx1_1xK`` has a 1xK and a Kx1 convolution in the place of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import CHANNELS, STRIDE, convolved, integer
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec, Rule
from hwnas.shapes import Params, Shape, conv_size

SOURCE = "hwnas.ops.nn.preactivated"
RULES: dict[str, Rule] = {"channels": CHANNELS, "stride": STRIDE}


def _nor_conv(kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        return convolved(shapes[0], integer(params, "channels"), kernel, integer(params, "stride"))

    return OpSpec(
        name=f"nor_conv_{kernel}x{kernel}",
        family="conv" if kernel > 1 else "pointwise",
        arity=1,
        defaults={"channels": None, "stride": 1},
        rules=RULES,
        infer_shape=infer_shape,
        module=lambda shapes, params: ModuleCall(
            "ReluConvBN", {"in_channels": shapes[0][0], "kernel": kernel, **params}, SOURCE
        ),
        macs=lambda shapes, params: conv_macs(infer_shape(shapes, params), shapes[0][0], kernel),
        weights=lambda shapes, params: conv_weights(shapes[0][0], integer(params, "channels"), kernel),
        fan_in=("conv.weight",),
    )


def _factorized_conv(kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        return convolved(shapes[0], integer(params, "channels"), kernel, integer(params, "stride"))

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        (inputs, height, width), channels = shapes[0], integer(params, "channels")
        row = channels * height * conv_size(width, kernel, integer(params, "stride"), 1) * inputs * kernel
        _, out_height, out_width = infer_shape(shapes, params)
        return row + channels * out_height * out_width * channels * kernel

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        channels = integer(params, "channels")
        return kernel * channels * (shapes[0][0] + channels) + 2 * channels

    return OpSpec(
        name=f"conv_{kernel}x1_1x{kernel}",
        family="conv",
        arity=1,
        defaults={"channels": None, "stride": 1},
        rules=RULES,
        infer_shape=infer_shape,
        module=lambda shapes, params: ModuleCall(
            "FactorizedConv", {"in_channels": shapes[0][0], "kernel": kernel, **params}, SOURCE
        ),
        macs=macs,
        weights=weights,
        fan_in=("row.weight",),
    )


for _kernel in (1, 3, 7):
    OPS.register(f"nor_conv_{_kernel}x{_kernel}", _nor_conv(_kernel))
for _kernel in (3, 7):
    OPS.register(f"conv_{_kernel}x1_1x{_kernel}", _factorized_conv(_kernel))
