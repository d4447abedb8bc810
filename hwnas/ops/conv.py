"""Plain and depthwise convolutions with BatchNorm and an activation."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import ACTIVATION, CHANNELS, DILATION, STRIDE, convolved, integer, string, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _conv(kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        channels, groups = integer(params, "channels"), integer(params, "groups")
        if shapes[0][0] % groups or channels % groups:
            raise GenotypeError(f"{groups} groups divide not both {shapes[0][0]} input and {channels} output channels")
        return convolved(shapes[0], channels, kernel, integer(params, "stride"), integer(params, "dilation"))

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        return ModuleCall("ConvBNAct", {"in_channels": shapes[0][0], "kernel": kernel, **params})

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        return conv_macs(infer_shape(shapes, params), shapes[0][0], kernel, integer(params, "groups"))

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        return conv_weights(shapes[0][0], integer(params, "channels"), kernel, integer(params, "groups"))

    return OpSpec(
        name=f"conv_{kernel}x{kernel}",
        family="conv" if kernel > 1 else "pointwise",
        arity=1,
        defaults={"channels": None, "stride": 1, "dilation": 1, "groups": 1, "activation": "relu"},
        rules={
            "channels": CHANNELS,
            "stride": STRIDE,
            "dilation": DILATION,
            "groups": whole(1),
            "activation": ACTIVATION,
        },
        infer_shape=infer_shape,
        module=module,
        macs=macs,
        weights=weights,
        fan_in=("conv.weight",),
    )


def _depthwise(kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        return convolved(shapes[0], shapes[0][0], kernel, integer(params, "stride"), integer(params, "dilation"))

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        channels = shapes[0][0]
        return ModuleCall(
            "ConvBNAct",
            {
                "in_channels": channels,
                "channels": channels,
                "kernel": kernel,
                "stride": integer(params, "stride"),
                "dilation": integer(params, "dilation"),
                "groups": channels,
                "activation": string(params, "activation"),
            },
        )

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        return conv_macs(infer_shape(shapes, params), 1, kernel)

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        return conv_weights(1, shapes[0][0], kernel)

    return OpSpec(
        name=f"dw_conv_{kernel}x{kernel}",
        family="depthwise",
        arity=1,
        defaults={"stride": 1, "dilation": 1, "activation": "relu"},
        rules={"stride": STRIDE, "dilation": DILATION, "activation": ACTIVATION},
        infer_shape=infer_shape,
        module=module,
        macs=macs,
        weights=weights,
        per_channel=True,
    )


for _kernel in (1, 3, 5, 7):
    OPS.register(f"conv_{_kernel}x{_kernel}", _conv(_kernel))
for _kernel in (3, 5):
    OPS.register(f"dw_conv_{_kernel}x{_kernel}", _depthwise(_kernel))
