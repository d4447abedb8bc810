"""Atrous convolutions with rules of their own: Auto-DeepLab's (arXiv 1901.02985) and the dense prediction cell's.

As in the authors' code (tensorflow/models, research/deeplab/core/nas_cell.py and dense_prediction_cell.py), but for its
bilinear resizing, which aligns corners.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import CHANNELS, STRIDE, convolved, integer, integers, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape, Value, format_shape

SOURCE = "hwnas.ops.nn.atrous"


def _pair(value: Value) -> str:
    """Rule: two whole numbers of at least 1, for the height and for the width."""
    fits = isinstance(value, tuple) and len(value) == 2 and not any(whole(1)(item) for item in value)
    return "" if fits else "must be a list of two whole numbers of at least 1, for height and width"


def _atrous(kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        return convolved(shapes[0], integer(params, "channels"), kernel, integer(params, "stride"))

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        return ModuleCall("AtrousConv", {"in_channels": shapes[0][0], "kernel": kernel, **params}, SOURCE)

    return OpSpec(
        name=f"atrous_conv_{kernel}x{kernel}",
        family="conv",
        arity=1,
        defaults={"channels": None, "stride": 1},
        rules={"channels": CHANNELS, "stride": STRIDE},
        infer_shape=infer_shape,
        module=module,
        macs=lambda shapes, params: conv_macs(infer_shape(shapes, params), shapes[0][0], kernel),
        weights=lambda shapes, params: conv_weights(shapes[0][0], integer(params, "channels"), kernel),
        fan_in=("conv.weight",),
    )


for _kernel in (3, 5):
    OPS.register(f"atrous_conv_{_kernel}x{_kernel}", _atrous(_kernel))


def _same_size(shapes: Sequence[Shape], params: Params) -> Shape:
    return integer(params, "channels"), shapes[0][1], shapes[0][2]


def _dilated_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    rates = integers(params, "rates")
    if (rates[0] >= shapes[0][1] and rates[0] > 1) or (rates[1] >= shapes[0][2] and rates[1] > 1):
        raise GenotypeError(
            f"its map of {format_shape(shapes[0])} is too small for the rates {rates[0]}x{rates[1]}",
            "a dilated convolution sees but padding there: use larger images, or smaller rates",
        )
    return _same_size(shapes, params)


def _separable_macs(shapes: Sequence[Shape], params: Params) -> int:
    return conv_macs(shapes[0], 1, 3) + conv_macs(_same_size(shapes, params), shapes[0][0])


OPS.register(
    "atrous_sep_conv_3x3",
    OpSpec(
        name="atrous_sep_conv_3x3",
        family="separable",
        arity=1,
        defaults={"channels": None, "rates": (1, 1)},
        rules={"channels": CHANNELS, "rates": _pair},
        infer_shape=_dilated_shape,
        module=lambda shapes, params: ModuleCall("AtrousSepConv", {"in_channels": shapes[0][0], **params}, SOURCE),
        macs=_separable_macs,
        weights=lambda shapes, params: (
            conv_weights(1, shapes[0][0], 3) + conv_weights(shapes[0][0], integer(params, "channels"))
        ),
    ),
)
"""``ds_conv_3x3`` with a dilation for rows and another for columns (``rates``)."""


def _pooled_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    rows, columns = integers(params, "grid")
    if rows > shapes[0][1] or columns > shapes[0][2]:
        raise GenotypeError(
            f"its map of {format_shape(shapes[0])} is too small for a grid of {rows}x{columns} cells",
            "use larger images, or a coarser grid",
        )
    return _same_size(shapes, params)


def _pooled_macs(shapes: Sequence[Shape], params: Params) -> int:
    _, height, width = shapes[0]
    rows, columns = integers(params, "grid")
    inside = (integer(params, "channels"), height - (height - 1) // rows, width - (width - 1) // columns)
    return conv_macs(inside, shapes[0][0])


OPS.register(
    "grid_pool",
    OpSpec(
        name="grid_pool",
        family="context",
        arity=1,
        defaults={"channels": None, "grid": (1, 1)},
        rules={"channels": CHANNELS, "grid": _pair},
        infer_shape=_pooled_shape,
        module=lambda shapes, params: ModuleCall("GridPool", {"in_channels": shapes[0][0], **params}, SOURCE),
        macs=_pooled_macs,
        weights=lambda shapes, params: conv_weights(shapes[0][0], integer(params, "channels")),
        fan_in=("conv.weight",),
    ),
)
"""The dense prediction cell's pyramid pooling: as the authors' code has it, its window moves by one pixel."""
