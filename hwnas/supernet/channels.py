"""Which channels of a supergraph's feature map are there, and the part of a parameter that works on them.

Widths are leading channels; behind a concatenation some of whose inputs are absent or narrow, channels keep the places
that they have when all are there, so that a consumer's weights belong to one source each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Ranges = tuple[tuple[int, int], ...]
"""(start, length) of the channels that are there, ascending, adjoining ones joined, in the supergraph's numbering."""


@dataclass(frozen=True)
class Part:
    """The map of a node as far as it is there."""

    tensor: Tensor
    channels: Ranges


def full(count: int) -> Ranges:
    """All of ``count`` channels, or the first ``count``."""
    return ((0, count),)


def joined(parts: Sequence[tuple[int, Ranges]]) -> Ranges:
    """The ranges of a concatenation of parts, each (where its input begins, its ranges)."""
    found: list[tuple[int, int]] = []
    for offset, ranges in parts:
        for start, length in ranges:
            if found and sum(found[-1]) == offset + start:
                found[-1] = (found[-1][0], found[-1][1] + length)
            else:
                found.append((offset + start, length))
    return tuple(found)


def spread(part: Part, count: int) -> Tensor:
    """The map with all ``count`` channels (N, count, H, W): zeros where none are there."""
    if part.channels == full(count):
        return part.tensor
    n, _, height, width = part.tensor.shape
    pieces, place, taken = [], 0, 0
    for start, length in part.channels:
        if start > place:
            pieces.append(part.tensor.new_zeros(n, start - place, height, width))
        pieces.append(part.tensor[:, taken : taken + length])
        place, taken = start + length, taken + length
    if place < count:
        pieces.append(part.tensor.new_zeros(n, count - place, height, width))
    return torch.cat(pieces, dim=1)


def take_channels(tensor: Tensor, dim: int, ranges: Ranges) -> Tensor:
    """The entries of ``tensor`` at ``ranges`` of ``dim``; a view where they adjoin."""
    views = [tensor.narrow(dim, start, length) for start, length in ranges]
    return views[0] if len(views) == 1 else torch.cat(views, dim=dim)


def take_parameter(
    tensor: Tensor,
    shape: tuple[int, ...],
    inputs: Ranges,
    input_counts: tuple[int, int],
    *,
    per_channel: bool,
    fan_in: bool,
) -> Tensor:
    """The part of ``tensor`` that has ``shape``: for the input channels ``inputs``, and else the leading channels.

    ``input_counts``: how many input channels there are in all, and now. ``fan_in``: dimension 1 are the input's
    channels. ``per_channel``: dimension 0 are, too. Kernels are centred.
    """
    leading = inputs == full(input_counts[1])
    for dim, length in enumerate(shape):
        there = tensor.shape[dim]
        of_input = (dim == 1 and fan_in) or (dim == 0 and per_channel)
        of_input = of_input or (not leading and not fan_in and dim < 2 and (there, length) == input_counts)
        if of_input and there != 1:
            tensor = take_channels(tensor, dim, inputs)
        elif there != length:
            tensor = tensor.narrow(dim, (there - length) // 2 if dim >= 2 else 0, length)
    return tensor
