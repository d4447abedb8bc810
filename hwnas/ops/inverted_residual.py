"""The inverted residual block in the forms of published nets, with everything in which they differ a parameter.

MobileNetV2 (arXiv 1801.04381), ProxylessNAS (1812.00332), FBNet (1812.03443), SqueezeNAS (1908.01748): they differ in
the activation, in whether a 1x1 convolution stands before the depthwise one where nothing is expanded, in grouped 1x1
convolutions with or without a channel shuffle, and in convolutions with bias before their BatchNorm. ``mbconv_e6_k3``
and its kind are the block with none of these.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import ACTIVATION, CHANNELS, DILATION, STRIDE, convolved, integer, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _expands(params: Params) -> bool:
    return integer(params, "expansion") > 1 or bool(params["always_expand"])


def _check_groups(shapes: Sequence[Shape], params: Params) -> None:
    inputs, hidden = shapes[0][0], shapes[0][0] * integer(params, "expansion")
    groups = integer(params, "expand_groups")
    if inputs % groups or hidden % groups:
        raise GenotypeError(f"{groups} groups divide not both {inputs} input and {hidden} expanded channels")
    groups, channels = integer(params, "project_groups"), integer(params, "channels")
    if hidden % groups or channels % groups:
        raise GenotypeError(f"{groups} groups divide not both {hidden} expanded and {channels} output channels")


def _inverted_residual(kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        _check_groups(shapes, params)
        stride, dilation = integer(params, "stride"), integer(params, "dilation")
        return convolved(shapes[0], integer(params, "channels"), kernel, stride, dilation)

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        inputs, in_height, in_width = shapes[0]
        out = infer_shape(shapes, params)
        hidden = inputs * integer(params, "expansion")
        groups = integer(params, "expand_groups")
        expand = conv_macs((hidden, in_height, in_width), inputs, 1, groups) if _expands(params) else 0
        depthwise = conv_macs((hidden, *out[1:]), 1, kernel)
        return expand + depthwise + conv_macs(out, hidden, 1, integer(params, "project_groups"))

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        inputs, channels = shapes[0][0], integer(params, "channels")
        hidden = inputs * integer(params, "expansion")
        expand = conv_weights(inputs, hidden, 1, integer(params, "expand_groups")) if _expands(params) else 0
        project = conv_weights(hidden, channels, 1, integer(params, "project_groups"))
        biases = (2 if _expands(params) else 1) * hidden + channels if params["bias"] else 0
        return expand + conv_weights(1, hidden, kernel) + project + biases

    return OpSpec(
        name=f"inverted_residual_{kernel}x{kernel}",
        family="mbconv",
        arity=1,
        defaults={
            "channels": None,
            "expansion": 6,
            "stride": 1,
            "dilation": 1,
            "activation": "relu6",
            "bias": False,
            "always_expand": False,
            "expand_groups": 1,
            "project_groups": 1,
            "shuffle": False,
        },
        rules={
            "channels": CHANNELS,
            "expansion": whole(1),
            "stride": STRIDE,
            "dilation": DILATION,
            "activation": ACTIVATION,
            "expand_groups": whole(1),
            "project_groups": whole(1),
        },
        infer_shape=infer_shape,
        module=lambda shapes, params: ModuleCall("MBConv", {"in_channels": shapes[0][0], "kernel": kernel, **params}),
        macs=macs,
        weights=weights,
    )


for _kernel in (3, 5, 7):
    OPS.register(f"inverted_residual_{_kernel}x{_kernel}", _inverted_residual(_kernel))
