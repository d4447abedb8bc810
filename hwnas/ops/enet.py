"""ENet's blocks (arXiv 1606.02147), whose PReLUs have one slope each; dropout is left out.

``enet_upsample`` takes, behind the features, the map whose max pooling is to be undone: pooling indices are not values
that an op graph carries, but they follow from what was pooled.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import CHANNELS, DILATION, convolved, integer, one_of
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec
from hwnas.shapes import Params, Shape, format_shape

SOURCE = "hwnas.ops.nn.enet"
SLOPE = one_of("prelu", "relu")


def _hidden(channels: int) -> int:
    return max(1, channels // 4)


def _slopes(params: Params, activations: int) -> int:
    return activations if params["activation"] == "prelu" else 0


def _stem_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    channels = integer(params, "channels")
    if channels <= shapes[0][0]:
        raise GenotypeError(f"{channels} channels leave none for the convolution beside the {shapes[0][0]} pooled ones")
    return convolved(shapes[0], channels, 3, 2)


def _stem_convolved(shapes: Sequence[Shape], params: Params) -> Shape:
    channels, height, width = _stem_shape(shapes, params)
    return channels - shapes[0][0], height, width


OPS.register(
    "enet_stem",
    OpSpec(
        name="enet_stem",
        family="enet",
        arity=1,
        defaults={"channels": None, "activation": "prelu"},
        rules={"channels": CHANNELS, "activation": SLOPE},
        infer_shape=_stem_shape,
        module=lambda shapes, params: ModuleCall("ENetStem", {"in_channels": shapes[0][0], **params}, SOURCE),
        macs=lambda shapes, params: conv_macs(_stem_convolved(shapes, params), shapes[0][0], 3),
        weights=lambda shapes, params: (
            conv_weights(shapes[0][0], _stem_convolved(shapes, params)[0], 3) + 2 * shapes[0][0] + _slopes(params, 1)
        ),
    ),
)


def _taps(params: Params) -> tuple[int, int]:
    """(convolutions, taps of each) in the middle of a bottleneck."""
    kernel = integer(params, "kernel")
    return (2, kernel) if params["asymmetric"] else (1, kernel * kernel)


def _bottleneck_macs(shapes: Sequence[Shape], params: Params) -> int:
    channels, height, width = shapes[0]
    hidden, (count, taps) = _hidden(channels), _taps(params)
    return height * width * (2 * channels * hidden + count * hidden * hidden * taps)


def _bottleneck_weights(shapes: Sequence[Shape], params: Params) -> int:
    channels = shapes[0][0]
    hidden, (count, taps) = _hidden(channels), _taps(params)
    middle = count * (hidden * hidden * taps + 2 * hidden)
    return conv_weights(channels, hidden) + middle + conv_weights(hidden, channels) + _slopes(params, 3 + count)


OPS.register(
    "enet_bottleneck",
    OpSpec(
        name="enet_bottleneck",
        family="enet",
        arity=1,
        defaults={"kernel": 3, "dilation": 1, "asymmetric": False, "activation": "prelu"},
        rules={"kernel": one_of(3, 5, 7), "dilation": DILATION, "activation": SLOPE},
        infer_shape=lambda shapes, params: shapes[0],
        module=lambda shapes, params: ModuleCall("ENetBottleneck", {"channels": shapes[0][0], **params}, SOURCE),
        macs=_bottleneck_macs,
        weights=_bottleneck_weights,
    ),
)


def _downsample_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    inputs, height, width = shapes[0]
    if integer(params, "channels") < inputs:
        raise GenotypeError(f"{params['channels']} channels are fewer than the {inputs} that are pooled")
    return integer(params, "channels"), height // 2, width // 2


def _downsample_macs(shapes: Sequence[Shape], params: Params) -> int:
    channels, height, width = _downsample_shape(shapes, params)
    inputs, hidden = shapes[0][0], _hidden(shapes[0][0])
    return height * width * (4 * inputs * hidden + 9 * hidden * hidden + hidden * channels)


def _downsample_weights(shapes: Sequence[Shape], params: Params) -> int:
    inputs, hidden = shapes[0][0], _hidden(shapes[0][0])
    first, second = conv_weights(inputs, hidden, 2), conv_weights(hidden, hidden, 3)
    return first + second + conv_weights(hidden, integer(params, "channels")) + _slopes(params, 4)


OPS.register(
    "enet_downsample",
    OpSpec(
        name="enet_downsample",
        family="enet",
        arity=1,
        defaults={"channels": None, "activation": "prelu"},
        rules={"channels": CHANNELS, "activation": SLOPE},
        infer_shape=_downsample_shape,
        module=lambda shapes, params: ModuleCall("ENetDownsample", {"in_channels": shapes[0][0], **params}, SOURCE),
        macs=_downsample_macs,
        weights=_downsample_weights,
    ),
)


def _upsample_shape(shapes: Sequence[Shape], params: Params) -> Shape:
    small, before = shapes
    if (before[1] // 2, before[2] // 2) != small[1:]:
        raise GenotypeError(
            f"its input 1 is {format_shape(before)}, whose 2x2 pooling is not {small[1]}x{small[2]} like its input 0"
        )
    return before


def _upsample_module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
    (inputs, _, _), (channels, height, width) = shapes
    odd = (height % 2, width % 2)
    return ModuleCall("ENetUpsample", {"in_channels": inputs, "channels": channels, "odd": odd, **params}, SOURCE)


def _upsample_macs(shapes: Sequence[Shape], params: Params) -> int:
    (inputs, height, width), out = shapes
    hidden = _hidden(inputs)
    return height * width * (inputs * out[0] + inputs * hidden + 4 * hidden * hidden) + conv_macs(out, hidden)


def _upsample_weights(shapes: Sequence[Shape], params: Params) -> int:
    inputs, channels = shapes[0][0], shapes[1][0]
    hidden = _hidden(inputs)
    branch = conv_weights(inputs, hidden) + conv_weights(hidden, hidden, 2) + conv_weights(hidden, channels)
    return conv_weights(inputs, channels) + branch + _slopes(params, 4)


OPS.register(
    "enet_upsample",
    OpSpec(
        name="enet_upsample",
        family="enet",
        arity=2,
        defaults={"activation": "relu"},
        rules={"activation": SLOPE},
        infer_shape=_upsample_shape,
        module=_upsample_module,
        macs=_upsample_macs,
        weights=_upsample_weights,
    ),
)
