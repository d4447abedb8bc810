"""The ops that compute nothing: a wire, and the absence of one."""

from __future__ import annotations

from hwnas.ops.params import STRIDE, convolved, integer
from hwnas.ops.spec import OPS, ModuleCall, OpSpec

OPS.register(
    "skip_connect",
    OpSpec(
        name="skip_connect",
        family="identity",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: shapes[0],
        module=lambda shapes, params: ModuleCall("Identity", {}),
        per_channel=True,
    ),
)
OPS.register(
    "none",
    OpSpec(
        name="none",
        family="identity",
        arity=1,
        defaults={"stride": 1},
        rules={"stride": STRIDE},
        infer_shape=lambda shapes, params: convolved(shapes[0], shapes[0][0], 1, integer(params, "stride")),
        module=lambda shapes, params: ModuleCall("Zero", {**params}),
        per_channel=True,
    ),
)
