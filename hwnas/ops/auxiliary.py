"""The extra classifier that helps deep cell-based networks train (NASNet, DARTS, ENAS); it is not deployed."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import integer, one_of, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape, format_shape

POOL, PROJECTED, FEATURES = 5, 128, 768


def _pooled(shapes: Sequence[Shape], params: Params) -> tuple[int, int]:
    """Height and width behind the pooling; a map that leaves nothing for the convolution is a GenotypeError."""
    height, width = ((size - POOL) // integer(params, "stride") + 1 for size in shapes[0][1:])
    if min(height, width) < (1 if params["padded"] else integer(params, "kernel")):
        raise GenotypeError(
            f"an auxiliary head cannot be put on a map of {format_shape(shapes[0])}",
            "give larger images, or leave out the auxiliary head",
        )
    return height, width


def _infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    _pooled(shapes, params)
    return integer(params, "classes"), 1, 1


def _macs(shapes: Sequence[Shape], params: Params) -> int:
    height, width = _pooled(shapes, params)
    kernel = integer(params, "kernel")
    shrunk = 0 if params["padded"] else kernel - 1
    convolution = conv_macs((FEATURES, height - shrunk, width - shrunk), PROJECTED, kernel)
    return conv_macs((PROJECTED, height, width), shapes[0][0]) + convolution + integer(params, "classes") * FEATURES


def _weights(shapes: Sequence[Shape], params: Params) -> int:
    convolution = conv_weights(PROJECTED, FEATURES, integer(params, "kernel")) - (0 if params["norm"] else 2 * FEATURES)
    classifier = integer(params, "classes") * (FEATURES + (1 if params["bias"] else 0))
    return conv_weights(shapes[0][0], PROJECTED) + convolution + classifier


OPS.register(
    "auxiliary_head",
    OpSpec(
        name="auxiliary_head",
        family="head",
        arity=1,
        defaults={"classes": None, "stride": 3, "kernel": 2, "norm": True, "padded": False, "bias": True},
        rules={"classes": whole(1), "stride": whole(1), "kernel": one_of(2, 4)},
        infer_shape=_infer_shape,
        module=lambda shapes, params: ModuleCall(
            "AuxiliaryHead", {"in_channels": shapes[0][0], **params}, "hwnas.ops.nn.preactivated"
        ),
        macs=_macs,
        weights=_weights,
        fan_in=("project.weight",),
    ),
)
