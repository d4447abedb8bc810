"""Shapes, parameter values and sizes: the vocabulary below all others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from hwnas.errors import HwnasError

Shape = tuple[int, int, int]
"""(channels, height, width) of one image's feature map; the batch belongs to the timing setting."""

Value: TypeAlias = "bool | int | float | str | tuple[Value, ...]"
"""A parameter's value. JSON lists become tuples when read."""

Params = Mapping[str, Value]


def parse_size(text: str) -> tuple[int, int]:
    """``"360x480"`` → ``(360, 480)``: height first, then width, in pixels."""
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    if not match:
        raise HwnasError(f"size {text!r} is not HEIGHTxWIDTH", "write it like --size 360x480")
    height, width = int(match[1]), int(match[2])
    if height < 32 or width < 32:
        raise HwnasError(f"size {text} is too small", "height and width must be at least 32 pixels")
    return height, width


def conv_size(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Output length of a convolution or pooling with "same" padding ``dilation * (kernel - 1) // 2``."""
    padding = dilation * (kernel - 1) // 2
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def format_shape(shape: Shape) -> str:
    """``(24, 90, 120)`` → ``"24x90x120"``."""
    return "x".join(map(str, shape))
