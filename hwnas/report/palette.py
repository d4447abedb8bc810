"""Colours of pictures: one for each family of ops, and a ramp for values. All fills are light enough for black text."""

from __future__ import annotations

import zlib

FAMILIES: dict[str, str] = {
    "conv": "#a9cbee",
    "pointwise": "#d6e6f7",
    "depthwise": "#b9e4e6",
    "separable": "#9fd6c4",
    "mbconv": "#cbe6a3",
    "residual": "#f6e59a",
    "activation": "#f3d9c8",
    "pooling": "#fbcfa0",
    "context": "#d8c3ec",
    "head": "#f5b3bf",
    "resize": "#e4e0d8",
    "merge": "#ffffff",
    "identity": "#f1f1f1",
}
SPARE = ("#e7c6b0", "#c9d3a9", "#b7c3e6", "#e6b8dc", "#d9d9a6")
"""For families of other packages."""

RAMP = ("#ffffff", "#fff1cf", "#fdd49e", "#fdab71", "#f47f5b")
"""From the smallest value to the largest."""

INK, FAINT = "#222222", "#555555"


def family_colour(family: str) -> str:
    """The fill of a family's nodes, ``"#rrggbb"``; the same in every picture."""
    return FAMILIES.get(family) or SPARE[zlib.crc32(family.encode()) % len(SPARE)]


def ramp_colour(fraction: float) -> str:
    """The colour at ``fraction`` (0 to 1, clipped) of the ramp."""
    position = min(max(fraction, 0.0), 1.0) * (len(RAMP) - 1)
    index = min(int(position), len(RAMP) - 2)
    low, high = _rgb(RAMP[index]), _rgb(RAMP[index + 1])
    return _hex([a + (b - a) * (position - index) for a, b in zip(low, high, strict=True)])


def outline(fill: str) -> str:
    """A darker colour of the same hue, for a node's border."""
    return _hex([0.62 * part for part in _rgb(fill)])


def _rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def _hex(parts: list[float]) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in parts)
