"""Modules of hand-designed networks. Imports only torch: the source of the classes is copied into generated files."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def make_gate(name: str) -> nn.Module:
    """The function that turns a gate's values into factors."""
    return {"sigmoid": nn.Sigmoid, "hsigmoid": nn.Hardsigmoid, "none": nn.Identity}[name]()


class Gate(nn.Module):
    """The first input times a function of the second, which may have one channel, row or column for all.

    ``inverse`` takes 1 minus that function.
    """

    def __init__(self, activation: str = "sigmoid", inverse: bool = False) -> None:
        super().__init__()
        self.act, self.inverse = make_gate(activation), inverse

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        factor = self.act(gate)
        return x * (1 - factor) if self.inverse else x * factor


class ChannelReduce(nn.Module):
    """Mean, maximum or sum over the channels: a map of one channel."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "max":
            return x.amax(dim=1, keepdim=True)
        return x.mean(dim=1, keepdim=True) if self.how == "mean" else x.sum(dim=1, keepdim=True)


class ChannelSplit(nn.Module):
    """One of several equal parts of the channels."""

    def __init__(self, first: int, count: int) -> None:
        super().__init__()
        self.first, self.count = first, count

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.first : self.first + self.count]


class PRelu(nn.Module):
    """ReLU with a learned slope below zero, one for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)


class PaddedAvgPool(nn.Module):
    """Mean over a window whose padding counts as zeros (torch's default)."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel, self.stride, self.kernel // 2)


class HalvingAvgPool(nn.Module):
    """Mean over 2x2 pixels; at an odd border over those that are there."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2, 2, ceil_mode=True)


class GridAvgPool(nn.Module):
    """Means over a grid of ``bins`` x ``bins`` windows of one size, which reach both ends of the map.

    b cells along s pixels have stride s // b and kernel s - (b - 1) * stride: where b divides s that is adaptive
    pooling, elsewhere windows overlap more. A fixed kernel exports at every size.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2], x.shape[3]
        rows, columns = min(self.bins, height), min(self.bins, width)
        stride = (height // rows, width // columns)
        kernel = (height - (rows - 1) * stride[0], width - (columns - 1) * stride[1])
        return F.avg_pool2d(x, kernel, stride)


class ConvTranspose(nn.Module):
    """3x3 transposed convolution with stride 2 and no bias, to the size of the second input (ENet's last layer)."""

    def __init__(self, in_channels: int, channels: int, odd: tuple[int, int]) -> None:
        super().__init__()
        padding = (1 - odd[0], 1 - odd[1])
        self.conv = nn.ConvTranspose2d(in_channels, channels, 3, 2, 1, padding, bias=False)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return self.conv(x)
