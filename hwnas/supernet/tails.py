"""Which branches of a mixed op end in a 1x1 convolution and a BatchNorm, and how they get there."""

from __future__ import annotations

from torch import Tensor, nn

from hwnas.ops.nn.modules import DilConv, SepConv
from hwnas.ops.nn.preactivated import ReluConvBN
from hwnas.supernet.depthwise import depthwise
from hwnas.supernet.fused import Tail, normalised


def has_tail(module: nn.Module) -> bool:
    """Whether ``module`` is one of those: all of them begin with a ReLU."""
    if type(module) is ReluConvBN:
        return module.conv.kernel_size == (1, 1) and module.conv.stride == (1, 1)
    return type(module) in (DilConv, SepConv)


def tail_of(module: nn.Module, rectified: Tensor, weight: Tensor | None) -> Tail:
    """The end of ``module``'s branch, with ``weight``, on a map that has been through its ReLU."""
    if isinstance(module, SepConv):
        return _tail(module.second, normalised(_tail(module.first, rectified, None)), weight)
    if isinstance(module, DilConv):
        return _tail(module, rectified, weight)
    assert isinstance(module, ReluConvBN)
    return _of(module.conv, module.bn, rectified, weight)


def _tail(module: DilConv, rectified: Tensor, weight: Tensor | None) -> Tail:
    dw = module.dw
    inputs = depthwise(rectified, dw.weight, dw.stride[0], dw.dilation[0])
    return _of(module.pw, module.bn, inputs, weight)


def _of(conv: nn.Conv2d, bn: nn.BatchNorm2d, inputs: Tensor, weight: Tensor | None) -> Tail:
    return Tail(inputs, conv.weight.flatten(1), bn.weight, bn.bias, bn.eps, weight)
