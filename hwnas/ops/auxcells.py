"""The ops of Nekrasov et al.'s decoders (arXiv 1810.10804 and 1904.02365) that no other family has.

``dwpw_conv_3x3`` and ``_5x5`` are their ``sep_conv``: depthwise and 1x1 convolution, then one BatchNorm and ReLU, the
whole ``repeats`` times (DARTS's of that name has the ReLU in front and always two of them). Every repeat strides.
``channel_scale`` multiplies each channel by a learned number: the summands of their parametrised sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hwnas.ops.params import CHANNELS, DILATION, STRIDE, convolved, integer, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape

SOURCE = "hwnas.ops.nn.auxcells"


def _dwpw_conv(kernel: int) -> OpSpec:
    def outputs(shapes: Sequence[Shape], params: Params) -> Iterator[Shape]:
        shape, stride, dilation = shapes[0], integer(params, "stride"), integer(params, "dilation")
        for _ in range(integer(params, "repeats")):
            shape = convolved(shape, integer(params, "channels"), kernel, stride, dilation)
            yield shape

    def inputs(shapes: Sequence[Shape], params: Params) -> list[int]:
        return [shapes[0][0], *[integer(params, "channels")] * (integer(params, "repeats") - 1)]

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        layers = zip(inputs(shapes, params), outputs(shapes, params), strict=True)
        return sum(conv_macs((width, *out[1:]), 1, kernel) + conv_macs(out, width) for width, out in layers)

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        channels = integer(params, "channels")
        return sum(width * kernel * kernel + conv_weights(width, channels) for width in inputs(shapes, params))

    return OpSpec(
        name=f"dwpw_conv_{kernel}x{kernel}",
        family="separable",
        arity=1,
        defaults={"channels": None, "stride": 1, "dilation": 1, "repeats": 1},
        rules={"channels": CHANNELS, "stride": STRIDE, "dilation": DILATION, "repeats": whole(1, 8)},
        infer_shape=lambda shapes, params: list(outputs(shapes, params))[-1],
        module=lambda shapes, params: ModuleCall(
            "DWPWConv", {"in_channels": shapes[0][0], "kernel": kernel, **params}, SOURCE
        ),
        macs=macs,
        weights=weights,
    )


for _kernel in (3, 5):
    OPS.register(f"dwpw_conv_{_kernel}x{_kernel}", _dwpw_conv(_kernel))
OPS.register(
    "channel_scale",
    OpSpec(
        name="channel_scale",
        family="activation",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: shapes[0],
        module=lambda shapes, params: ModuleCall("ChannelScale", {"channels": shapes[0][0]}, SOURCE),
        weights=lambda shapes, params: shapes[0][0],
        per_channel=True,
    ),
)
