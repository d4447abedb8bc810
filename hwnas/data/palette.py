"""Colours for classes that come without one."""

from __future__ import annotations

from hwnas.data.base import ClassInfo


def numbered_color(index: int) -> tuple[int, int, int]:
    """The colour of PASCAL VOC's palette: the bits of ``index`` dealt out to red, green, blue from the top bit down."""
    red = green = blue = 0
    for shift in range(7, -1, -1):
        red |= (index & 1) << shift
        green |= (index >> 1 & 1) << shift
        blue |= (index >> 2 & 1) << shift
        index >>= 3
    return red, green, blue


def colored(names: str, first: int = 0) -> tuple[ClassInfo, ...]:
    """Classes of comma-separated names, with the palette's colours from place ``first`` on."""
    return tuple(ClassInfo(name, numbered_color(first + index)) for index, name in enumerate(names.split(",")))
