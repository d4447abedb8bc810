"""A ReLU that stands alone, as after the sum of two branches. Elsewhere activations are part of the fused ops."""

from __future__ import annotations

from hwnas.ops.spec import OPS, ModuleCall, OpSpec

OPS.register(
    "relu",
    OpSpec(
        name="relu",
        family="activation",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: shapes[0],
        module=lambda shapes, params: ModuleCall("Relu", {}),
        per_channel=True,
    ),
)
