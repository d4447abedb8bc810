"""Which branches of a mixed op end in a 1x1 convolution and a BatchNorm, and how they get there.

What branches of one map have in common is computed once: its ReLU, and the two interleaved quarters of it that a
factorized reduction takes, one after the other in the channels (that makes one 1x1 convolution of its two).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwnas.ops.nn.modules import DilConv, FactorizedReduce, SepConv
from hwnas.ops.nn.preactivated import ReluConvBN
from hwnas.supernet.depthwise import depthwise
from hwnas.supernet.fused import Tail, normalised


def has_tail(module: nn.Module) -> bool:
    """Whether ``module`` is one of those: all of them begin with a ReLU."""
    if type(module) is ReluConvBN:
        return module.conv.kernel_size == (1, 1) and module.conv.stride == (1, 1)
    if type(module) is FactorizedReduce:
        return module.relu == "first"
    return type(module) in (DilConv, SepConv)


Shared = Callable[[str, Callable[[Tensor], Tensor]], Tensor]
"""(What it is called, how it is made of the branch's input) → it, made once."""


def tail_of(module: nn.Module, shared: Shared, weight: Tensor | None) -> Tail:
    """The end of ``module``'s branch, with ``weight``; ``shared`` gives what is made of its input."""
    if isinstance(module, FactorizedReduce):
        kernel = torch.block_diag(module.even.weight.flatten(1), module.odd.weight.flatten(1))  # type: ignore[no-untyped-call]
        bn = module.bn
        return Tail(shared("quarters", _quarters), kernel, bn.weight, bn.bias, bn.eps, weight)
    rectified = shared("relu", torch.relu)
    if isinstance(module, SepConv):
        return _tail(module.second, normalised(_tail(module.first, rectified, None)), weight)
    if isinstance(module, DilConv):
        return _tail(module, rectified, weight)
    assert isinstance(module, ReluConvBN)
    return _of(module.conv, module.bn, rectified, weight)


def _quarters(x: Tensor) -> Tensor:
    """relu(x) at (even row, even column) and at (odd, odd), (N, 2 C, ⌈H/2⌉, ⌈W/2⌉); zeros beyond the end."""
    height, width = x.shape[2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2))
    found = torch.cat([x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]], dim=1)
    return found.contiguous(memory_format=torch.channels_last).relu_()


def _tail(module: DilConv, rectified: Tensor, weight: Tensor | None) -> Tail:
    dw = module.dw
    inputs = depthwise(rectified, dw.weight, dw.stride[0], dw.dilation[0])
    return _of(module.pw, module.bn, inputs, weight)


def _of(conv: nn.Conv2d, bn: nn.BatchNorm2d, inputs: Tensor, weight: Tensor | None) -> Tail:
    return Tail(inputs, conv.weight.flatten(1), bn.weight, bn.bias, bn.eps, weight)
