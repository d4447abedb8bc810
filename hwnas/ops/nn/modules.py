"""The PyTorch modules of the ops. Imports only torch: the source of the classes is copied into generated files.

Inputs are float tensors of shape (N, C, H, W) and positional: ``module(x)``, ``module(a, b)``. Every convolution and
pooling pads by ``dilation * (kernel - 1) // 2`` on all sides. No parameter's shape depends on the size of the images:
weights trained at one size load at any other.
"""

# mypy: disable-error-code="no-any-return"
# (torch declares that calling a module returns Any; casts would only clutter the generated files)

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def make_activation(name: str) -> nn.Module:
    """The activation called ``name``; it works in place, since it always follows a BatchNorm."""
    if name == "none":
        return nn.Identity()
    if name == "sigmoid":
        return nn.Sigmoid()
    if name == "gelu":
        return nn.GELU()
    classes = {
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "hswish": nn.Hardswish,
        "hsigmoid": nn.Hardsigmoid,
        "silu": nn.SiLU,
        "leaky_relu": nn.LeakyReLU,
    }
    return classes[name](inplace=True)


def resize(x: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """``x`` in (height, width) pixels; bilinear with ``align_corners=False``, or nearest."""
    return F.interpolate(x, size=size, mode=mode, align_corners=False if mode == "bilinear" else None)


class Relu(nn.Module):
    """ReLU; not in place, since its input may have other readers."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class ConvBNAct(nn.Module):
    """Convolution, without bias unless asked, BatchNorm, activation."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activation: str = "relu",
        bias: bool = False,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding, dilation, groups, bias=bias)
        self.bn = nn.BatchNorm2d(channels)
        self.act = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class ConvAct(nn.Module):
    """Convolution with bias unless told otherwise, activation; no BatchNorm."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activation: str = "none",
        bias: bool = True,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding, dilation, groups, bias=bias)
        self.act = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class BNAct(nn.Module):
    """BatchNorm and activation, behind no convolution of their own."""

    def __init__(self, channels: int, activation: str = "relu") -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.act = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class DSConv(nn.Module):
    """Depthwise separable convolution: depthwise and pointwise, each with BatchNorm and ReLU (MobileNet, Fast-SCNN)."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.dw = ConvBNAct(in_channels, in_channels, kernel, stride, dilation, groups=in_channels)
        self.pw = ConvBNAct(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pw(self.dw(x))


class DilConv(nn.Module):
    """ReLU, dilated depthwise and pointwise convolution, BatchNorm: DARTS's ``dil_conv``."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1, dilation: int = 2) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.dw = nn.Conv2d(in_channels, in_channels, kernel, stride, padding, dilation, groups=in_channels, bias=False)
        self.pw = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.pw(self.dw(F.relu(x))))


class SepConv(nn.Module):
    """Two times ReLU, depthwise, pointwise, BatchNorm: DARTS's ``sep_conv``. The first half strides.

    The second half changes the width, or with ``widen_first`` the first, as in NASNet.
    """

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int = 1, widen_first: bool = False
    ) -> None:
        super().__init__()
        hidden = channels if widen_first else in_channels
        self.first = DilConv(in_channels, hidden, kernel, stride, dilation=1)
        self.second = DilConv(hidden, channels, kernel, dilation=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class MBConv(nn.Module):
    """Inverted residual (MobileNetV2): 1x1 expansion, depthwise, linear 1x1 projection; skip where shapes allow.

    Published nets differ: convolutions with bias, a 1x1 convolution even where nothing is expanded, grouped 1x1
    convolutions, their channels shuffled (ChannelShuffle) before the depthwise one.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        expansion: int,
        stride: int = 1,
        dilation: int = 1,
        activation: str = "relu",
        bias: bool = False,
        always_expand: bool = False,
        expand_groups: int = 1,
        project_groups: int = 1,
        shuffle: bool = False,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        expands = expansion > 1 or always_expand
        self.expand = (
            ConvBNAct(in_channels, hidden, 1, groups=expand_groups, activation=activation, bias=bias)
            if expands
            else nn.Identity()
        )
        self.shuffle_groups = expand_groups if shuffle else 1
        self.dw = ConvBNAct(hidden, hidden, kernel, stride, dilation, hidden, activation, bias)
        self.project = ConvBNAct(hidden, channels, 1, groups=project_groups, activation="none", bias=bias)
        self.residual = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.expand(x)
        if self.shuffle_groups > 1:
            count, channels, height, width = hidden.shape
            hidden = hidden.view(count, self.shuffle_groups, channels // self.shuffle_groups, height, width)
            hidden = hidden.transpose(1, 2).reshape(count, channels, height, width)
        out = self.project(self.dw(hidden))
        return x + out if self.residual else out


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet); the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.first = ConvBNAct(in_channels, channels, 3, stride, dilation)
        self.second = ConvBNAct(channels, channels, 3, 1, dilation, activation="none")
        changes = stride != 1 or in_channels != channels
        self.shortcut = ConvBNAct(in_channels, channels, 1, stride, activation="none") if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution and a shortcut (ResNet); the 3x3 convolution strides and dilates."""

    def __init__(self, in_channels: int, channels: int, hidden: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.reduce = ConvBNAct(in_channels, hidden, 1)
        self.conv = ConvBNAct(hidden, hidden, 3, stride, dilation)
        self.expand = ConvBNAct(hidden, channels, 1, activation="none")
        changes = stride != 1 or in_channels != channels
        self.shortcut = ConvBNAct(in_channels, channels, 1, stride, activation="none") if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.expand(self.conv(self.reduce(x))) + self.shortcut(x))


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with BatchNorm and ReLU; the first strides (FasterSeg's ``conv_2x``)."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvBNAct(in_channels, channels, 3, stride)
        self.second = ConvBNAct(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class ZoomedConv(nn.Module):
    """3x3 convolution and BatchNorm at half the resolution, resized back unless it strides, ReLU (FasterSeg)."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, interpolation: str = "bilinear") -> None:
        super().__init__()
        self.first = ConvBNAct(in_channels, channels, 3, activation="none")
        self.stride, self.interpolation = stride, interpolation

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2], x.shape[3]
        out = self.first(resize(x, ((height + 1) // 2, (width + 1) // 2), self.interpolation))
        return F.relu(out if self.stride == 2 else resize(out, (height, width), self.interpolation))


class ZoomedDoubleConv(nn.Module):
    """Two 3x3 convolutions with BatchNorm, ReLU between them, at half the resolution as in ZoomedConv (FasterSeg)."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, interpolation: str = "bilinear") -> None:
        super().__init__()
        self.first = ConvBNAct(in_channels, channels, 3)
        self.second = ConvBNAct(channels, channels, 3, activation="none")
        self.stride, self.interpolation = stride, interpolation

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2], x.shape[3]
        out = self.first(resize(x, ((height + 1) // 2, (width + 1) // 2), self.interpolation))
        out = self.second(out)
        return F.relu(out if self.stride == 2 else resize(out, (height, width), self.interpolation))


class FactorizedReduce(nn.Module):
    """Halves the resolution: half of the channels from every other pixel, half from those between; BatchNorm.

    ``relu`` says where a ReLU stands: ``"first"``, ``"last"`` or ``"none"``.
    """

    def __init__(self, in_channels: int, channels: int, relu: str = "last") -> None:
        super().__init__()
        self.relu = relu
        self.even = nn.Conv2d(in_channels, channels - channels // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(in_channels, channels // 2, 1, 2, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2], x.shape[3]
        x = F.relu(x) if self.relu == "first" else x
        between = F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
        out = self.bn(torch.cat([self.even(x), self.odd(between)], dim=1))
        return F.relu(out) if self.relu == "last" else out


class MaxPool(nn.Module):
    """Maximum over a window."""

    def __init__(self, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel, self.stride, (self.kernel - 1) // 2)


class AvgPool(nn.Module):
    """Mean over a window; padding does not count, as in DARTS."""

    def __init__(self, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel, self.stride, (self.kernel - 1) // 2, count_include_pad=False)


class GlobalAvgPool(nn.Module):
    """Mean of the whole map, (N, C, 1, 1). A reduction rather than an adaptive pooling: it exports at every size."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3), keepdim=True)


class WindowPool(nn.Module):
    """Mean over a window, without padding; a window larger than the map is cut to it."""

    def __init__(self, kernel: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, (min(self.kernel, x.shape[2]), min(self.kernel, x.shape[3])), self.stride)


class Identity(nn.Module):
    """Gives back its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Zero(nn.Module):
    """Zeros of the input's shape, strided: the absence of an edge."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class Resize(nn.Module):
    """Resize to a fixed size in pixels; bilinear with ``align_corners=False``, or nearest."""

    def __init__(self, height: int, width: int, mode: str = "bilinear") -> None:
        super().__init__()
        self.size, self.mode = (height, width), mode

    def forward(self, x: Tensor) -> Tensor:
        return resize(x, self.size, self.mode)


class ResizeLike(nn.Module):
    """Resizes the first input to the size of the second, which is known when the network is built."""

    def __init__(self, height: int, width: int, mode: str = "bilinear") -> None:
        super().__init__()
        self.resize = Resize(height, width, mode)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return self.resize(x)


class Add(nn.Module):
    """Sum of any number of inputs."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = first + other
        return first


class Mul(nn.Module):
    """Product of any number of inputs."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = first * other
        return first


class Concat(nn.Module):
    """Inputs behind each other along the channels."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=1)


class LRASPP(nn.Module):
    """Lite R-ASPP (MobileNetV3): a 1x1 convolution times a gate made of the image's mean.

    The mean is a reduction rather than an adaptive pooling: it exports at every size.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.value = ConvBNAct(in_channels, channels, 1)
        self.gate = nn.Conv2d(in_channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.value(x) * torch.sigmoid(self.gate(x.mean(dim=(2, 3), keepdim=True)))


class PyramidPool(nn.Module):
    """Pyramid pooling (PSPNet, as in Fast-SCNN): means over grids of ``bins``, 1x1 convolutions, resize, concat, 1x1.

    A grid of b cells along s pixels has stride s // b and the kernel that reaches both ends, s - (b - 1) * stride:
    where b divides s that is adaptive pooling, elsewhere cells overlap more. A fixed kernel exports at every size. No
    grid is finer than the map: networks are trained on crops smaller than the images that they will see.
    """

    def __init__(self, in_channels: int, channels: int, bins: tuple[int, ...]) -> None:
        super().__init__()
        self.bins = bins
        branch = max(1, in_channels // len(bins))
        self.branches = nn.ModuleList([ConvBNAct(in_channels, branch, 1) for _ in bins])
        self.project = ConvBNAct(in_channels + branch * len(bins), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2], x.shape[3]
        maps = [x]
        for cells, branch in zip(self.bins, self.branches, strict=True):
            rows, columns = min(cells, height), min(cells, width)
            stride = (height // rows, width // columns)
            kernel = (height - (rows - 1) * stride[0], width - (columns - 1) * stride[1])
            pooled = branch(F.avg_pool2d(x, kernel, stride))
            maps.append(F.interpolate(pooled, size=(height, width), mode="bilinear", align_corners=False))
        return self.project(torch.cat(maps, dim=1))


class SegHead(nn.Module):
    """1x1 convolution with bias: one logit for each class."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class ConvSegHead(nn.Module):
    """3x3 convolution with BatchNorm and ReLU, then a 1x1 convolution with bias: one logit for each class (BiSeNet)."""

    def __init__(self, in_channels: int, channels: int, classes: int) -> None:
        super().__init__()
        self.first = ConvBNAct(in_channels, channels, 3)
        self.conv = nn.Conv2d(channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.first(x))
