"""Ops that let every pixel see the whole image: LR-ASPP (arXiv 1905.02244) and pyramid pooling (arXiv 1612.01105)."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import CHANNELS, integer, integers, whole_tuple
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _same_size(shapes: Sequence[Shape], params: Params) -> Shape:
    return integer(params, "channels"), shapes[0][1], shapes[0][2]


def _lraspp_module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    return ModuleCall("LRASPP", {"in_channels": shapes[0][0], **params})


def _lraspp_macs(shapes: Sequence[Shape], params: Params) -> int:
    channels, height, width = _same_size(shapes, params)
    return shapes[0][0] * channels * (height * width + 1)


def _lraspp_weights(shapes: Sequence[Shape], params: Params) -> int:
    inputs, channels = shapes[0][0], integer(params, "channels")
    return conv_weights(inputs, channels) + inputs * channels


def _branch_channels(shapes: Sequence[Shape], params: Params) -> int:
    return max(1, shapes[0][0] // len(integers(params, "bins")))


def _pyramid_macs(shapes: Sequence[Shape], params: Params) -> int:
    inputs, branch, bins = shapes[0][0], _branch_channels(shapes, params), integers(params, "bins")
    height, width = shapes[0][1:]
    branches = sum(conv_macs((branch, min(cells, height), min(cells, width)), inputs) for cells in bins)
    return branches + conv_macs(_same_size(shapes, params), inputs + branch * len(bins))


def _pyramid_weights(shapes: Sequence[Shape], params: Params) -> int:
    inputs, branch, bins = shapes[0][0], _branch_channels(shapes, params), integers(params, "bins")
    project = conv_weights(inputs + branch * len(bins), integer(params, "channels"))
    return len(bins) * conv_weights(inputs, branch) + project


OPS.register(
    "lraspp",
    OpSpec(
        name="lraspp",
        family="context",
        arity=1,
        defaults={"channels": None},
        rules={"channels": CHANNELS},
        infer_shape=_same_size,
        module=_lraspp_module,
        macs=_lraspp_macs,
        weights=_lraspp_weights,
        fan_in=("value.conv.weight", "gate.weight"),
    ),
)
OPS.register(
    "pyramid_pool",
    OpSpec(
        name="pyramid_pool",
        family="context",
        arity=1,
        defaults={"channels": None, "bins": (1, 2, 3, 6)},
        rules={"channels": CHANNELS, "bins": whole_tuple(1)},
        infer_shape=_same_size,
        module=lambda shapes, params: ModuleCall("PyramidPool", {"in_channels": shapes[0][0], **params}),
        macs=_pyramid_macs,
        weights=_pyramid_weights,
    ),
)
