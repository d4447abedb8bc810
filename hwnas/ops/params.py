"""Rules for the parameters of ops, and typed access to checked ones. Registers no op."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.spec import Rule
from hwnas.shapes import Params, Shape, Value, conv_size, format_shape

ACTIVATIONS = ("none", "relu", "relu6", "hswish", "hsigmoid", "sigmoid", "silu", "gelu", "leaky_relu")
"""Names that ``hwnas.ops.nn.modules.make_activation`` knows."""


def whole(low: int, high: int | None = None) -> Rule:
    """A whole number, at least ``low`` and at most ``high``; ``True`` is none."""
    span = f"from {low} to {high}" if high is not None else f"of at least {low}"

    def check(value: Value) -> str:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
        return "" if fits and (high is None or value <= high) else f"must be a whole number {span}"  # type: ignore[operator]

    return check


def one_of(*options: Value) -> Rule:
    """One of ``options``, of the same type."""

    def check(value: Value) -> str:
        known = any(type(value) is type(option) and value == option for option in options)
        return "" if known else f"must be one of {', '.join(map(str, options))}"

    return check


def whole_tuple(low: int) -> Rule:
    """A list of at least one whole number, each at least ``low``, none twice."""
    each = whole(low)

    def check(value: Value) -> str:
        fits = isinstance(value, tuple) and len(value) > 0 and len(set(value)) == len(value)
        fits = fits and not any(each(item) for item in value)  # type: ignore[union-attr]
        return "" if fits else f"must be a list of different whole numbers of at least {low}"

    return check


CHANNELS = whole(1)
STRIDE = one_of(1, 2)
DILATION = whole(1)
ACTIVATION = one_of(*ACTIVATIONS)


def integer(params: Params, name: str) -> int:
    """A checked parameter as ``int``."""
    value = params[name]
    assert isinstance(value, int)
    return value


def string(params: Params, name: str) -> str:
    """A checked parameter as ``str``."""
    value = params[name]
    assert isinstance(value, str)
    return value


def integers(params: Params, name: str) -> tuple[int, ...]:
    """A checked parameter as a tuple of ``int``."""
    value = params[name]
    assert isinstance(value, tuple)
    return tuple(item for item in value if isinstance(item, int))


def convolved(shape: Shape, channels: int, kernel: int, stride: int, dilation: int = 1) -> Shape:
    """Shape after a convolution or pooling with "same" padding."""
    return channels, conv_size(shape[1], kernel, stride, dilation), conv_size(shape[2], kernel, stride, dilation)


def same_shape(shapes: Sequence[Shape]) -> Shape:
    """The one shape that all inputs have; a GenotypeError if they differ."""
    for slot, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise GenotypeError(
                f"its input {slot} is {format_shape(shape)}, but its input 0 is {format_shape(shapes[0])}",
                "all inputs must have one shape: project the channels with conv_1x1, resize the maps",
            )
    return shapes[0]
