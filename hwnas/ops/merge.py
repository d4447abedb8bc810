"""Ops that join any number of inputs: sum, product and concatenation."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import same_shape
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape, format_shape


def _elementwise(name: str, class_name: str) -> OpSpec:
    return OpSpec(
        name=name,
        family="merge",
        arity=None,
        defaults={},
        infer_shape=lambda shapes, params: same_shape(shapes),
        module=lambda shapes, params: ModuleCall(class_name, {}),
        commutative=True,
        per_channel=True,
    )


def _concat_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    for slot, shape in enumerate(shapes):
        if shape[1:] != shapes[0][1:]:
            raise GenotypeError(
                f"its input {slot} is {format_shape(shape)}, but its input 0 is {format_shape(shapes[0])}",
                "all inputs must have one height and width: resize the maps",
            )
    return sum(shape[0] for shape in shapes), shapes[0][1], shapes[0][2]


OPS.register("add", _elementwise("add", "Add"))
OPS.register("mul", _elementwise("mul", "Mul"))
OPS.register(
    "concat",
    OpSpec(
        name="concat",
        family="merge",
        arity=None,
        defaults={},
        infer_shape=_concat_shape,
        module=lambda shapes, params: ModuleCall("Concat", {}),
    ),
)
