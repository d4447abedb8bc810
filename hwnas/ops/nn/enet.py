"""ENet's blocks (arXiv 1606.02147). Imports only torch: the source of the classes is copied into generated files.

Each PReLU has one slope for all its channels. Dropout is left out.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATIO = 4


def make_slope(activation: str) -> nn.Module:
    """PReLU with one slope, or ReLU."""
    return nn.PReLU() if activation == "prelu" else nn.ReLU()


def max_unpool(x: Tensor, before: Tensor) -> Tensor:
    """``x`` put where the maximum of each 2x2 pixels of ``before`` is, zeros elsewhere; the first of equal ones wins.

    That is torch's unpooling by the indices of ``max_pool2d(before, 2)``, in operators that every engine has.
    """
    count, channels, height, width = x.shape
    parts = before[:, :, : 2 * height, : 2 * width].reshape(count, channels, height, 2, width, 2)
    parts = parts.permute(0, 1, 2, 4, 3, 5).reshape(count, channels, height, width, 4)
    winners = parts.argmax(dim=4, keepdim=True) == torch.arange(4, device=x.device)
    placed = (x.unsqueeze(4) * winners.to(x.dtype)).reshape(count, channels, height, width, 2, 2)
    placed = placed.permute(0, 1, 2, 4, 3, 5).reshape(count, channels, 2 * height, 2 * width)
    return F.pad(placed, (0, before.shape[3] - 2 * width, 0, before.shape[2] - 2 * height))


class ENetStem(nn.Module):
    """3x3 convolution with stride 2 beside a max pooling of the image; BatchNorm and PReLU on both."""

    def __init__(self, in_channels: int, channels: int, activation: str = "prelu") -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels - in_channels, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.act = make_slope(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(torch.cat([self.conv(x), F.max_pool2d(x, 3, 2, 1)], dim=1)))


class ENetBottleneck(nn.Module):
    """Residual bottleneck around a regular, dilated or asymmetric (k x 1, then 1 x k) convolution."""

    def __init__(
        self,
        channels: int,
        kernel: int = 3,
        dilation: int = 1,
        asymmetric: bool = False,
        activation: str = "prelu",
    ) -> None:
        super().__init__()
        hidden = max(1, channels // RATIO)
        shapes = [(kernel, 1), (1, kernel)] if asymmetric else [(kernel, kernel)]
        layers: list[nn.Module] = [nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden)]
        layers.append(make_slope(activation))
        for rows, columns in shapes:
            padding = (dilation * (rows // 2), dilation * (columns // 2))
            layers += [
                nn.Conv2d(hidden, hidden, (rows, columns), 1, padding, dilation, bias=False),
                nn.BatchNorm2d(hidden),
                make_slope(activation),
            ]
        layers += [nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels), make_slope(activation)]
        self.branch = nn.Sequential(*layers)
        self.act = make_slope(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.branch(x))


class ENetDownsample(nn.Module):
    """Bottleneck beside a 2x2 max pooling, whose missing channels are zero; a last odd row or column is dropped."""

    def __init__(self, in_channels: int, channels: int, activation: str = "prelu") -> None:
        super().__init__()
        hidden = max(1, in_channels // RATIO)
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 2, 2, bias=False),
            nn.BatchNorm2d(hidden),
            make_slope(activation),
            nn.Conv2d(hidden, hidden, 3, 1, 1, bias=False),
            nn.BatchNorm2d(hidden),
            make_slope(activation),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            make_slope(activation),
        )
        self.missing = channels - in_channels
        self.act = make_slope(activation)

    def forward(self, x: Tensor) -> Tensor:
        main = F.pad(F.max_pool2d(x, 2), (0, 0, 0, 0, 0, self.missing))
        return self.act(main + self.branch(x))


class ENetUpsample(nn.Module):
    """Bottleneck with a transposed convolution beside an unpooling to where the maxima of ``before`` were."""

    def __init__(self, in_channels: int, channels: int, odd: tuple[int, int], activation: str = "relu") -> None:
        super().__init__()
        hidden = max(1, in_channels // RATIO)
        self.main = nn.Sequential(nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            make_slope(activation),
            nn.ConvTranspose2d(hidden, hidden, 2, 2, 0, odd, bias=False),
            nn.BatchNorm2d(hidden),
            make_slope(activation),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            make_slope(activation),
        )
        self.act = make_slope(activation)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return self.act(max_unpool(self.main(x), before) + self.branch(x))
