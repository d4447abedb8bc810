"""BatchNorm that stands alone, before a convolution or behind a concatenation, and PReLU."""

from __future__ import annotations

from hwnas.ops.params import ACTIVATION
from hwnas.ops.spec import OPS, ModuleCall, OpSpec

OPS.register(
    "batch_norm",
    OpSpec(
        name="batch_norm",
        family="activation",
        arity=1,
        defaults={"activation": "relu"},
        rules={"activation": ACTIVATION},
        infer_shape=lambda shapes, params: shapes[0],
        module=lambda shapes, params: ModuleCall(
            "BNAct", {"channels": shapes[0][0], "activation": params["activation"]}
        ),
        weights=lambda shapes, params: 2 * shapes[0][0],
        per_channel=True,
    ),
)
OPS.register(
    "prelu",
    OpSpec(
        name="prelu",
        family="activation",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: shapes[0],
        module=lambda shapes, params: ModuleCall("PRelu", {"channels": shapes[0][0]}, "hwnas.ops.nn.hand_designed"),
        weights=lambda shapes, params: shapes[0][0],
        per_channel=True,
    ),
)
