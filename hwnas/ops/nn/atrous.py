"""The PyTorch modules of atrous convolutions with rules of their own. Imports only torch; see ``modules.py``."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class AtrousConv(nn.Module):
    """ReLU, full convolution with dilation 2, BatchNorm (Auto-DeepLab).

    With stride 2 it is bilinear resizing to half the size instead, rounded up, and no dilation.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        dilation = 2 if stride == 1 else 1
        padding = dilation * (kernel - 1) // 2
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, channels, kernel, 1, padding, dilation, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        if self.stride == 2:
            half = ((x.shape[2] + 1) // 2, (x.shape[3] + 1) // 2)
            x = F.interpolate(x, size=half, mode="bilinear", align_corners=False)
        return self.bn(self.conv(x))


class AtrousSepConv(nn.Module):
    """3x3 depthwise convolution with a dilation for rows and one for columns, 1x1 convolution; each BatchNorm, ReLU."""

    def __init__(self, in_channels: int, channels: int, rates: tuple[int, int]) -> None:
        super().__init__()
        self.dw = nn.Conv2d(in_channels, in_channels, 3, 1, rates, rates, groups=in_channels, bias=False)
        self.dw_bn = nn.BatchNorm2d(in_channels)
        self.pw = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.pw_bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.pw_bn(self.pw(F.relu(self.dw_bn(self.dw(x))))))


class GridPool(nn.Module):
    """Means over a grid's cell moved pixel by pixel, 1x1 convolution, BatchNorm, ReLU, resized back (DPC).

    A grid of g cells along s pixels has the kernel (s - 1) // g + 1; the resizing is bilinear.
    """

    def __init__(self, in_channels: int, channels: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.conv = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2], x.shape[3]
        kernel = ((height - 1) // self.grid[0] + 1, (width - 1) // self.grid[1] + 1)
        pooled = F.relu(self.bn(self.conv(F.avg_pool2d(x, kernel, 1))))
        return F.interpolate(pooled, size=(height, width), mode="bilinear", align_corners=False)
