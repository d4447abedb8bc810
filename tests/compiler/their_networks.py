"""The backbones of torchvision, written from their documented module structure, for their names and their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    padding = (kernel - 1) // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class InvertedResidual(nn.Module):
    """``conv`` is 1x1 (if it expands), depthwise, each a Sequential with ReLU6; then a 1x1 convolution, BatchNorm."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(nn.Sequential(*conv_bn(inputs, hidden, 1), nn.ReLU6()))
        layers.append(nn.Sequential(*conv_bn(hidden, hidden, 3, stride, hidden), nn.ReLU6()))
        self.conv = nn.Sequential(*layers, *conv_bn(hidden, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    """``features`` 0 is the stem, 1 to 17 the blocks, 18 a 1x1 convolution; then ``classifier``."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Sequential(*conv_bn(3, 32, 3, 2), nn.ReLU6())]
        inputs = 32
        settings = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
        for expansion, width, count, stride in (*settings, (6, 320, 1, 1)):
            for block in range(count):
                layers.append(InvertedResidual(inputs, width, stride if block == 0 else 1, expansion))
                inputs = width
        layers.append(nn.Sequential(*conv_bn(320, 1280, 1), nn.ReLU6()))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(1280, 10))

    def forward(self, x: Tensor) -> Tensor:
        """The features of stride 32 before the last 1x1 convolution."""
        return self.features[:18](x)


class Block(nn.Module):
    """A ResNet block of convolutions ``(kernel, width)``; the 3x3 one strides, the first of them in a basic block."""

    def __init__(self, inputs: int, convs: Sequence[tuple[int, int]], stride: int) -> None:
        super().__init__()
        width, strided = inputs, False
        for place, (kernel, outputs) in enumerate(convs, start=1):
            now = stride if kernel == 3 and not strided else 1
            strided = strided or kernel == 3
            conv, norm = conv_bn(width, outputs, kernel, now)
            self.add_module(f"conv{place}", conv)
            self.add_module(f"bn{place}", norm)
            width = outputs
        self.count = len(convs)
        changes = stride != 1 or inputs != width
        self.downsample = nn.Sequential(*conv_bn(inputs, width, 1, stride)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for place in range(1, self.count + 1):
            out = self.get_submodule(f"bn{place}")(self.get_submodule(f"conv{place}")(out))
            out = torch.relu(out) if place < self.count else out
        return torch.relu(out + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    """``conv1``, ``bn1``, ``layer1`` to ``layer4``, ``fc``."""

    def __init__(self, counts: Sequence[int], bottleneck: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_bn(3, 64, 7, 2)
        inputs = 64
        for stage, count in enumerate(counts, start=1):
            width = 64 * 2 ** (stage - 1)
            convs = [(1, width), (3, width), (1, 4 * width)] if bottleneck else [(3, width), (3, width)]
            blocks = []
            for block in range(count):
                blocks.append(Block(inputs, convs, 2 if stage > 1 and block == 0 else 1))
                inputs = convs[-1][1]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        """The features of stride 32."""
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return x


def resnet(name: str) -> ResNet:
    return {"resnet18": ResNet((2, 2, 2, 2), False), "resnet50": ResNet((3, 4, 6, 3), True)}[name]
