"""ShuffleNetV2's choice blocks (arXiv 1807.11164) as SPOS (1904.00420) and DetNAS (1903.10979) search them.

At stride 1 the channels are split into two halves, every other one: one half stays, the other goes through the branch.
Where the block strides or changes the width, the branch sees all channels and a depthwise and a 1x1 convolution replace
the half that stays. ``hidden`` are the channels inside the branch; 0 means half of the output's.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import CHANNELS, DILATION, STRIDE, convolved, integer, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape

SOURCE = "hwnas.ops.nn.shuffle"


def _splits(shapes: Sequence[Shape], params: Params) -> bool:
    return params["stride"] == 1 and params["channels"] == shapes[0][0]


def _widths(shapes: Sequence[Shape], params: Params) -> tuple[int, int, int]:
    """Channels that enter the branch, inside it, and that leave it."""
    inputs, channels = shapes[0][0], integer(params, "channels")
    hidden = integer(params, "hidden") or max(1, channels // 2)
    return (inputs // 2, hidden, inputs // 2) if _splits(shapes, params) else (inputs, hidden, channels - inputs)


def _branch(shapes: Sequence[Shape], params: Params, kernel: int, repeats: int) -> list[tuple[int, int, int, int]]:
    """The convolutions: (input channels per group, output channels, kernel, 0 before striding or 1 behind it)."""
    inputs, hidden, outputs = _widths(shapes, params)
    if repeats == 1:
        layers = [(inputs, hidden, 1, 0), (1, hidden, kernel, 1), (hidden, outputs, 1, 1)]
    else:
        layers = [(1, inputs, kernel, 1), (inputs, hidden, 1, 1)]
        layers += [(1, hidden, kernel, 1), (hidden, hidden, 1, 1)] * (repeats - 2)
        layers += [(1, hidden, kernel, 1), (hidden, outputs, 1, 1)]
    if not _splits(shapes, params):
        layers += [(1, shapes[0][0], kernel, 1), (shapes[0][0], shapes[0][0], 1, 1)]
    return layers


def _shuffle_block(name: str, kernel: int, repeats: int) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        inputs, channels = shapes[0][0], integer(params, "channels")
        if _splits(shapes, params) and inputs % 2:
            raise GenotypeError(f"{inputs} channels cannot be split into halves")
        if not _splits(shapes, params) and channels <= inputs:
            raise GenotypeError(
                f"{channels} output channels leave none for the branch beside the {inputs} that are projected",
                "a shuffle block that strides or changes the width needs more output than input channels",
            )
        return convolved(shapes[0], channels, kernel, integer(params, "stride"), integer(params, "dilation"))

    def macs(shapes: Sequence[Shape], params: Params) -> int:
        sizes = (shapes[0][1:], infer_shape(shapes, params)[1:])
        layers = _branch(shapes, params, kernel, repeats)
        return sum(conv_macs((outputs, *sizes[late]), inputs, size) for inputs, outputs, size, late in layers)

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        layers = _branch(shapes, params, kernel, repeats)
        return sum(conv_weights(inputs, outputs, size) for inputs, outputs, size, _ in layers)

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        kwargs = {"in_channels": shapes[0][0], "kernel": kernel, "repeats": repeats, **params}
        return ModuleCall("ShuffleBlock", {**kwargs, "hidden": _widths(shapes, params)[1]}, SOURCE)

    return OpSpec(
        name=name,
        family="shuffle",
        arity=1,
        defaults={"channels": None, "stride": 1, "dilation": 1, "hidden": 0},
        rules={"channels": CHANNELS, "stride": STRIDE, "dilation": DILATION, "hidden": whole(0)},
        infer_shape=infer_shape,
        module=module,
        macs=macs,
        weights=weights,
    )


for _kernel in (3, 5, 7):
    OPS.register(f"shuffle_{_kernel}x{_kernel}", _shuffle_block(f"shuffle_{_kernel}x{_kernel}", _kernel, 1))
OPS.register("shuffle_xception", _shuffle_block("shuffle_xception", 3, 3))
