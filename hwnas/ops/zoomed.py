"""FasterSeg's ops (arXiv 1912.10917) beside the plain 3x3 convolution: two of them, both kinds zoomed, and its skip.

A zoomed op works at half the resolution: resize to half the height and width, convolve, resize back and, last of all,
ReLU. With stride 2 it is not resized back. FasterSeg trains them with bilinear resizing (corners aligned; here, as
everywhere, not) and times them with nearest, which is a parameter here, so that a latency says which one it is of.
Sizes that are odd are halved upwards, as by a convolution of stride 2; FasterSeg's own code halves them downwards and
then fails where both meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwnas.ops.params import CHANNELS, STRIDE, convolved, integer, one_of
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape

KERNEL = 3
Macs = Callable[[Sequence[Shape], Params], int]


def _infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    return convolved(shapes[0], integer(params, "channels"), KERNEL, integer(params, "stride"))


def _half(shapes: Sequence[Shape], params: Params) -> Shape:
    """The shape inside a zoomed op: half the size, whatever the stride."""
    return convolved(shapes[0], integer(params, "channels"), KERNEL, 2)


def _macs(convolutions: int, inside: Callable[[Sequence[Shape], Params], Shape]) -> Macs:
    def macs(shapes: Sequence[Shape], params: Params) -> int:
        out = inside(shapes, params)
        return conv_macs(out, shapes[0][0], KERNEL) + (convolutions - 1) * conv_macs(out, out[0], KERNEL)

    return macs


def _weights(convolutions: int) -> Macs:
    def weights(shapes: Sequence[Shape], params: Params) -> int:
        channels = integer(params, "channels")
        more = (convolutions - 1) * conv_weights(channels, channels, KERNEL)
        return conv_weights(shapes[0][0], channels, KERNEL) + more

    return weights


def _module(class_name: str) -> Callable[[Sequence[Shape], Params], ModuleCall]:
    return lambda shapes, params: ModuleCall(class_name, {"in_channels": shapes[0][0], **params})


OPS.register(
    "double_conv_3x3",
    OpSpec(
        name="double_conv_3x3",
        family="conv",
        arity=1,
        defaults={"channels": None, "stride": 1},
        rules={"channels": CHANNELS, "stride": STRIDE},
        infer_shape=_infer_shape,
        module=_module("DoubleConv"),
        macs=_macs(2, _infer_shape),
        weights=_weights(2),
        fan_in=("first.conv.weight",),
    ),
)


def _zoomed(name: str, class_name: str, convolutions: int) -> OpSpec:
    return OpSpec(
        name=name,
        family="zoomed",
        arity=1,
        defaults={"channels": None, "stride": 1, "interpolation": "bilinear"},
        rules={"channels": CHANNELS, "stride": STRIDE, "interpolation": one_of("bilinear", "nearest")},
        infer_shape=_infer_shape,
        module=_module(class_name),
        macs=_macs(convolutions, _half),
        weights=_weights(convolutions),
        fan_in=("first.conv.weight",),
    )


OPS.register("zoomed_conv_3x3", _zoomed("zoomed_conv_3x3", "ZoomedConv", 1))
OPS.register("zoomed_double_conv_3x3", _zoomed("zoomed_double_conv_3x3", "ZoomedDoubleConv", 2))


def _reduced(shapes: Sequence[Shape], params: Params) -> Shape:
    return convolved(shapes[0], integer(params, "channels"), 1, 2)


OPS.register(
    "factorized_reduce",
    OpSpec(
        name="factorized_reduce",
        family="pointwise",
        arity=1,
        defaults={"channels": None, "relu": "last"},
        rules={"channels": CHANNELS, "relu": one_of("first", "last", "none")},
        infer_shape=_reduced,
        module=_module("FactorizedReduce"),
        macs=lambda shapes, params: conv_macs(_reduced(shapes, params), shapes[0][0]),
        weights=lambda shapes, params: conv_weights(shapes[0][0], integer(params, "channels")),
        fan_in=("even.weight", "odd.weight"),
    ),
)
"""A skip where the resolution halves; elsewhere it is a wire (``skip_connect``).

``relu``: FasterSeg's comes last, DARTS's and NASNet's first, and within its cells ENAS has none. Maps of odd size are
padded at the right and at the bottom, then shifted by a pixel: NASNet's way. DARTS's code only shifts, and then fails
on odd sizes; on even ones both see the same pixels.
"""
