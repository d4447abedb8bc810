"""Transposed convolution, as the last layer of ENet (arXiv 1606.02147): doubles the resolution."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import CHANNELS, integer
from hwnas.ops.rules import conv_macs
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape, format_shape


def _infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    small, like = shapes
    if ((like[1] + 1) // 2, (like[2] + 1) // 2) != small[1:]:
        raise GenotypeError(
            f"its input 1 is {format_shape(like)}, but its input 0, {format_shape(small)}, can only be doubled",
            "a side of the second input must be twice that of the first, or one less",
        )
    return integer(params, "channels"), *like[1:]


def _module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    odd = (shapes[1][1] % 2, shapes[1][2] % 2)
    kwargs = {"in_channels": shapes[0][0], "channels": params["channels"], "odd": odd}
    return ModuleCall("ConvTranspose", kwargs, "hwnas.ops.nn.hand_designed")


OPS.register(
    "conv_transpose_3x3",
    OpSpec(
        name="conv_transpose_3x3",
        family="conv",
        arity=2,
        defaults={"channels": None},
        rules={"channels": CHANNELS},
        infer_shape=_infer_shape,
        module=_module,
        macs=lambda shapes, params: conv_macs((integer(params, "channels"), *shapes[0][1:]), shapes[0][0], 3),
        weights=lambda shapes, params: shapes[0][0] * integer(params, "channels") * 9,
    ),
)
"""Without bias and BatchNorm; stride 2, to the size of the second input. Every input pixel is multiplied."""
