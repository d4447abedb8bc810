"""What attention is put together from: a gate, reductions over the channels, and parts of them.

Squeeze-and-excitation is ``global_avg_pool``, two ``bare_conv_1x1`` and a ``gate``; spatial attention gates with a map
of one channel; a blend of two maps is a gate and its inverse, added.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import integer, one_of, whole
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape, format_shape

SOURCE = "hwnas.ops.nn.hand_designed"


def _gated(shapes: Sequence[Shape], params: Params) -> Shape:
    x, gate = shapes
    if any(size not in (1, full) for size, full in zip(gate, x, strict=True)):
        raise GenotypeError(
            f"its input 1 is {format_shape(gate)}, but its input 0 is {format_shape(x)}",
            "a gate must have the same channels, height and width, or 1 of them",
        )
    return x


OPS.register(
    "gate",
    OpSpec(
        name="gate",
        family="attention",
        arity=2,
        defaults={"activation": "sigmoid", "inverse": False},
        rules={"activation": one_of("sigmoid", "hsigmoid", "none")},
        infer_shape=_gated,
        module=lambda shapes, params: ModuleCall("Gate", {**params}, SOURCE),
    ),
)
"""The first input times the activation of the second, or with ``inverse`` times 1 minus that."""


def _reduce(how: str) -> OpSpec:
    return OpSpec(
        name=f"channel_{how}",
        family="attention",
        arity=1,
        defaults={},
        infer_shape=lambda shapes, params: (1, *shapes[0][1:]),
        module=lambda shapes, params: ModuleCall("ChannelReduce", {"how": how}, SOURCE),
    )


for _how in ("mean", "max", "sum"):
    OPS.register(f"channel_{_how}", _reduce(_how))


def _part(shapes: Sequence[Shape], params: Params) -> Shape:
    channels, parts, index = shapes[0][0], integer(params, "parts"), integer(params, "index")
    if channels % parts:
        raise GenotypeError(f"{channels} channels cannot be split into {parts} equal parts")
    if index >= parts:
        raise GenotypeError(f"there is no part {index} of {parts}: the first is 0")
    return channels // parts, *shapes[0][1:]


def _part_module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    count = _part(shapes, params)[0]
    return ModuleCall("ChannelSplit", {"first": count * integer(params, "index"), "count": count}, SOURCE)


OPS.register(
    "channel_split",
    OpSpec(
        name="channel_split",
        family="attention",
        arity=1,
        defaults={"parts": 2, "index": 0},
        rules={"parts": whole(1), "index": whole(0)},
        infer_shape=_part,
        module=_part_module,
    ),
)
"""Part ``index`` of ``parts`` equal ones of the channels."""
