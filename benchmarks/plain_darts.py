"""DARTS (arXiv 1806.09055) as its paper says it, in plain PyTorch: what our supernet is compared with.

Written from the paper: every edge of a cell computes all eight operations and adds them up, weighted by the softmax of
its alphas; a step updates the alphas by the gradient of the validation loss, then the weights by that of the training
loss. Nothing is shared between edges, nothing is fused. As in the paper's search, BatchNorms have no parameters and
follow the poolings, too. The step asks autograd for the gradients of the alphas alone where only those are needed:
that is kinder to it than ``loss.backward()``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NODES = 4
OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=False)


class Pool(nn.Module):
    def __init__(self, kind: str, channels: int, stride: int) -> None:
        super().__init__()
        if kind == "max":
            self.pool: nn.Module = nn.MaxPool2d(3, stride, 1)
        else:
            self.pool = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        self.bn = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.pool(x))


class FactorizedReduce(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(inputs, channels // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(inputs, channels // 2, 1, 2, bias=False)
        self.bn = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        return self.bn(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))


class ReluConvBN(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(F.relu(x)))


class Dilated(nn.Module):
    """ReLU, depthwise, pointwise, BatchNorm."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.dw = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
        self.pw = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.pw(self.dw(F.relu(x))))


class Separable(nn.Module):
    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = Dilated(channels, kernel, stride, 1)
        self.second = Dilated(channels, kernel, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Zero(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0.0


def operation(name: str, channels: int, stride: int) -> nn.Module:
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    if name.endswith("_pool_3x3"):
        return Pool(name[:3], channels, stride)
    kernel = int(name[-1])
    return Separable(channels, kernel, stride) if name.startswith("sep") else Dilated(channels, kernel, stride, 2)


class MixedOp(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.ops = nn.ModuleList([operation(name, channels, stride) for name in OPERATIONS])

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return sum(weight * op(x) for weight, op in zip(weights, self.ops, strict=True))


class Cell(nn.Module):
    def __init__(self, before: int, last: int, channels: int, *, reduction: bool, reduced: bool) -> None:
        super().__init__()
        self.preprocess0 = FactorizedReduce(before, channels) if reduced else ReluConvBN(before, channels)
        self.preprocess1 = ReluConvBN(last, channels)
        self.edges = nn.ModuleList(
            [
                MixedOp(channels, 2 if reduction and state < 2 else 1)
                for node in range(NODES)
                for state in range(node + 2)
            ]
        )

    def forward(self, before: Tensor, last: Tensor, weights: Tensor) -> Tensor:
        states = [self.preprocess0(before), self.preprocess1(last)]
        edge = 0
        for _ in range(NODES):
            total = sum(self.edges[edge + i](state, weights[edge + i]) for i, state in enumerate(states))
            edge += len(states)
            states.append(total)
        return torch.cat(states[-NODES:], dim=1)


class PlainDarts(nn.Module):
    """The search network on CIFAR: images (N, 3, 32, 32) → logits (N, classes)."""

    def __init__(self, channels: int = 16, layers: int = 8, classes: int = 10) -> None:
        super().__init__()
        edges = sum(2 + node for node in range(NODES))
        self.alphas = nn.ParameterList([nn.Parameter(1e-3 * torch.randn(edges, len(OPERATIONS))) for _ in range(2)])
        stem = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, padding=1, bias=False), batch_norm(stem))
        before, last, width, reduced = stem, stem, channels, False
        self.cells = nn.ModuleList()
        self.reductions = (layers // 3, 2 * layers // 3)
        for layer in range(layers):
            reduction = layer in self.reductions
            width *= 2 if reduction else 1
            self.cells.append(Cell(before, last, width, reduction=reduction, reduced=reduced))
            before, last, reduced = last, NODES * width, reduction
        self.classifier = nn.Linear(last, classes)

    def weight_parameters(self) -> list[nn.Parameter]:
        alphas = {id(alpha) for alpha in self.alphas}
        return [parameter for parameter in self.parameters() if id(parameter) not in alphas]

    def forward(self, images: Tensor) -> Tensor:
        before = last = self.stem(images)
        for layer, cell in enumerate(self.cells):
            weights = torch.softmax(self.alphas[int(layer in self.reductions)], dim=-1)
            before, last = last, cell(before, last, weights)
        return self.classifier(last.mean(dim=(2, 3)))


class PlainStep:
    """One bilevel step of first order, with the paper's optimizers."""

    def __init__(self, network: PlainDarts) -> None:
        self.network = network
        self.weights = network.weight_parameters()
        self.optimizer = torch.optim.SGD(self.weights, lr=0.025, momentum=0.9, weight_decay=3e-4)
        self.alpha_optimizer = torch.optim.Adam(network.alphas, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)

    def __call__(self, train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor]) -> tuple[float, float]:
        """(validation loss, training loss), both before their update."""
        alphas = list(self.network.alphas)
        val_loss = F.cross_entropy(self.network(val[0]), val[1])
        for alpha, gradient in zip(alphas, torch.autograd.grad(val_loss, alphas), strict=True):
            alpha.grad = gradient
        self.alpha_optimizer.step()
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.network(train[0]), train[1])
        for parameter, gradient in zip(self.weights, torch.autograd.grad(loss, self.weights), strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(self.weights, 5.0)
        self.optimizer.step()
        return float(val_loss.detach()), float(loss.detach())
