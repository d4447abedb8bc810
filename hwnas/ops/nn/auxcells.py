"""Modules of Nekrasov et al.'s decoders. Imports only torch: their source is copied into generated files."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch
from torch import Tensor, nn


class DWPWConv(nn.Module):
    """Depthwise and 1x1 convolution, BatchNorm, ReLU; ``repeats`` times, each of them strided."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int = 1, dilation: int = 1, repeats: int = 1
    ) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        layers: list[nn.Module] = []
        for width in [in_channels] + [channels] * (repeats - 1):
            layers += [
                nn.Conv2d(width, width, kernel, stride, padding, dilation, groups=width, bias=False),
                nn.Conv2d(width, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ChannelScale(nn.Module):
    """Every channel times a learned number, which begins at 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale
