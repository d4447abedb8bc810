"""Cost arithmetic that several families share. Registers no op."""

from __future__ import annotations

from hwnas.shapes import Shape


def conv_macs(out: Shape, in_channels: int, kernel: int = 1, groups: int = 1) -> int:
    """Multiplications of a convolution whose output has shape ``out``."""
    channels, height, width = out
    return channels * height * width * (in_channels // groups) * kernel * kernel


def conv_weights(in_channels: int, channels: int, kernel: int = 1, groups: int = 1) -> int:
    """Parameters of a convolution without bias, followed by BatchNorm (weight and bias)."""
    return channels * (in_channels // groups) * kernel * kernel + 2 * channels
