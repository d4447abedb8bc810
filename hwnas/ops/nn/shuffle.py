"""ShuffleNetV2's choice blocks. Imports only torch: the source of the classes is copied into generated files."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch
from torch import Tensor, nn


class ShuffleBlock(nn.Module):
    """One half of the channels stays or is projected, the other goes through a branch; both are concatenated.

    With one ``repeats`` the branch is 1x1, depthwise, 1x1; with more it is that many times depthwise and 1x1
    (SPOS's xception block). BatchNorm behind every convolution, ReLU behind every 1x1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        repeats: int,
        hidden: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.splits = stride == 1 and in_channels == channels
        inputs = in_channels // 2 if self.splits else in_channels
        outputs = channels // 2 if self.splits else channels - in_channels
        if repeats == 1:
            layers = [*self._pointwise(inputs, hidden), *self._depthwise(hidden, kernel, stride, dilation)]
        else:
            layers = [*self._depthwise(inputs, kernel, stride, dilation), *self._pointwise(inputs, hidden)]
            for _ in range(repeats - 2):
                layers += [*self._depthwise(hidden, kernel, 1, dilation), *self._pointwise(hidden, hidden)]
            layers += self._depthwise(hidden, kernel, 1, dilation)
        self.branch = nn.Sequential(*layers, *self._pointwise(hidden, outputs))
        project = [*self._depthwise(in_channels, kernel, stride, dilation), *self._pointwise(in_channels, in_channels)]
        self.project = nn.Identity() if self.splits else nn.Sequential(*project)

    @staticmethod
    def _pointwise(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    @staticmethod
    def _depthwise(channels: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
        padding = dilation * (kernel - 1) // 2
        conv = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
        return [conv, nn.BatchNorm2d(channels)]

    def forward(self, x: Tensor) -> Tensor:
        if not self.splits:
            return torch.cat([self.project(x), self.branch(x)], dim=1)
        count, channels, height, width = x.shape
        pairs = x.view(count, channels // 2, 2, height, width)
        return torch.cat([pairs[:, :, 0], self.branch(pairs[:, :, 1])], dim=1)
