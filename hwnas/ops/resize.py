"""Bilinear (``align_corners=False``) and nearest resize, to a fixed size or to that of another feature map."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.ops.params import integer, whole
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape


def _resize(mode: str) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        return shapes[0][0], integer(params, "height"), integer(params, "width")

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        return ModuleCall("Resize", {**params, "mode": mode})

    return OpSpec(
        name=f"resize_{mode}",
        family="resize",
        arity=1,
        defaults={"height": None, "width": None},
        rules={"height": whole(1), "width": whole(1)},
        infer_shape=infer_shape,
        module=module,
        per_channel=True,
    )


OPS.register("resize_bilinear", _resize("bilinear"))
OPS.register("resize_nearest", _resize("nearest"))
OPS.register(
    "resize_like",
    OpSpec(
        name="resize_like",
        family="resize",
        arity=2,
        defaults={},
        infer_shape=lambda shapes, params: (shapes[0][0], *shapes[1][1:]),
        module=lambda shapes, params: ModuleCall(
            "ResizeLike", {"height": shapes[1][1], "width": shapes[1][2], "mode": "bilinear"}
        ),
    ),
)
"""Bilinear, to the height and width of the second input: for cells, which do not know the size of the image."""
