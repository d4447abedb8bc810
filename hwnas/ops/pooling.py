"""Maximum (3x3, 5x5, 7x7) and average (3x3) pooling, padded like a convolution, and the mean of the whole map."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import STRIDE, convolved, integer
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _pool(name: str, class_name: str, kernel: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        return convolved(shapes[0], shapes[0][0], kernel, integer(params, "stride"))

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        return ModuleCall(class_name, {"kernel": kernel, **params})

    return OpSpec(
        name=name,
        family="pooling",
        arity=1,
        defaults={"stride": 1},
        rules={"stride": STRIDE},
        infer_shape=infer_shape,
        module=module,
        per_channel=True,
    )


for _kernel in (3, 5, 7):
    OPS.register(f"max_pool_{_kernel}x{_kernel}", _pool(f"max_pool_{_kernel}x{_kernel}", "MaxPool", _kernel))
OPS.register("avg_pool_3x3", _pool("avg_pool_3x3", "AvgPool", 3))
OPS.register(
    "global_avg_pool",
    OpSpec(
        name="global_avg_pool",
        family="pooling",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: (shapes[0][0], 1, 1),
        module=lambda shapes, params: ModuleCall("GlobalAvgPool", {}),
        per_channel=True,
    ),
)
