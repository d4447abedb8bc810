"""Average pooling in the forms of hand-designed networks: padding that counts, halves rounded up, grids.

``padded_avg_pool`` pads by half its kernel and counts the padding as zeros (DAPPM of DDRNet, STDC, BiSeNetV2);
``avg_pool_3x3`` does not count it. ``avg_pool_2x2`` halves and rounds up. ``grid_avg_pool`` is the pooling of a pyramid
with ``bins`` cells a side, by a fixed kernel; of a smaller map every pixel is a cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import convolved, integer, one_of, whole
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape

SOURCE = "hwnas.ops.nn.hand_designed"


def _padded_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    return convolved(shapes[0], shapes[0][0], integer(params, "kernel"), integer(params, "stride"))


def _grid_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    channels, height, width = shapes[0]
    bins = integer(params, "bins")
    return channels, min(bins, height), min(bins, width)


OPS.register(
    "padded_avg_pool",
    OpSpec(
        name="padded_avg_pool",
        family="pooling",
        arity=1,
        defaults={"kernel": 3, "stride": 2},
        rules={"kernel": one_of(3, 5, 7, 9, 17), "stride": whole(1)},
        infer_shape=_padded_shape,
        module=lambda shapes, params: ModuleCall("PaddedAvgPool", {**params}, SOURCE),
        per_channel=True,
    ),
)
OPS.register(
    "avg_pool_2x2",
    OpSpec(
        name="avg_pool_2x2",
        family="pooling",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: (shapes[0][0], (shapes[0][1] + 1) // 2, (shapes[0][2] + 1) // 2),
        module=lambda shapes, params: ModuleCall("HalvingAvgPool", {}, SOURCE),
        per_channel=True,
    ),
)
OPS.register(
    "grid_avg_pool",
    OpSpec(
        name="grid_avg_pool",
        family="pooling",
        arity=1,
        defaults={"bins": None},
        rules={"bins": whole(1)},
        infer_shape=_grid_shape,
        module=lambda shapes, params: ModuleCall("GridAvgPool", {**params}, SOURCE),
        per_channel=True,
    ),
)
