"""The PyTorch modules of ops that start with a ReLU (DARTS, NASNet, NAS-Bench-201) and of training's extra head.

Imports only torch: the source of the classes is copied into generated files. Padding is ``(kernel - 1) // 2``.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ReluConvBN(nn.Module):
    """ReLU, convolution without bias, BatchNorm."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, (kernel - 1) // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(F.relu(x)))


class FactorizedConv(nn.Module):
    """ReLU, a 1xk and a kx1 convolution, one BatchNorm: the first strides in width, the second in height."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        padding = (kernel - 1) // 2
        self.row = nn.Conv2d(in_channels, channels, (1, kernel), (1, stride), (0, padding), bias=False)
        self.column = nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (padding, 0), bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.column(self.row(F.relu(x))))


class AuxiliaryHead(nn.Module):
    """ReLU, 5x5 average pooling, 1x1 convolution to 128, convolution to 768, mean, classes: (N, classes, 1, 1).

    ``stride``: of the pooling; ``kernel``: of the second convolution; ``norm``: whether a BatchNorm follows it;
    ``padded``: whether it keeps the size of the map, with more zeros on the right and at the bottom where they cannot
    be equal on all sides; ``bias``: of the classifier.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        stride: int,
        kernel: int = 2,
        norm: bool = True,
        padded: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.stride = stride
        before, after = (kernel - 1) // 2, kernel // 2
        self.padding = (before, after, before, after) if padded else (0, 0, 0, 0)
        self.project = nn.Conv2d(in_channels, 128, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(128)
        self.conv = nn.Conv2d(128, 768, kernel, bias=False)
        self.bn2 = nn.BatchNorm2d(768) if norm else nn.Identity()
        self.classifier = nn.Conv2d(768, classes, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.project(F.avg_pool2d(F.relu(x), 5, self.stride))))
        out = F.relu(self.bn2(self.conv(F.pad(out, self.padding))))
        return self.classifier(out.mean(dim=(2, 3), keepdim=True))
