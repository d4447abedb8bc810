"""The last op of a segmentation network: features to logits."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import integer, whole
from hwnas.ops.rules import conv_macs
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    return integer(params, "classes"), shapes[0][1], shapes[0][2]


def _module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    return ModuleCall("SegHead", {"in_channels": shapes[0][0], **params})


def _macs(shapes: Sequence[Shape], params: Params) -> int:
    return conv_macs(_infer_shape(shapes, params), shapes[0][0])


def _weights(shapes: Sequence[Shape], params: Params) -> int:
    return integer(params, "classes") * (shapes[0][0] + 1)


OPS.register(
    "seg_head",
    OpSpec(
        name="seg_head",
        family="head",
        arity=1,
        defaults={"classes": None},
        rules={"classes": whole(1)},
        infer_shape=_infer_shape,
        module=_module,
        macs=_macs,
        weights=_weights,
        fan_in=("conv.weight",),
    ),
)
