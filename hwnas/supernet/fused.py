"""A mixed op in one piece: the weighted sum of many branches, most of which end in a 1x1 convolution and a BatchNorm.

Branches like DARTS's separable convolutions are y = BN(P d) with a depthwise output d and a 1x1 convolution P. The
batch's mean and variance of P d follow from the mean and the covariance of d, so that BatchNorm and the weight w of the
branch become part of the matrix: w BN(P d) = P' d + c. The sum of all branches is then one accumulated product; neither
P d nor what BatchNorm makes of it is ever stored, forward or back. In the middle of a branch BN(P d) is followed by a
ReLU, and the same is done there (:func:`normalised`).

It equals what the modules compute, up to rounding. Everything is in (pixels, channels) matrices, which channels-last
maps are views of. Not differentiable twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Tail:
    """The end of a branch: ``weight`` · BN(``kernel`` · ``inputs``).

    ``inputs`` (N, C, H, W), ``kernel`` (C', C), ``scale`` and ``shift`` (C',) of the BatchNorm, or None; ``weight`` a
    scalar, None for 1.
    """

    inputs: Tensor
    kernel: Tensor
    scale: Tensor | None
    shift: Tensor | None
    eps: float
    weight: Tensor | None


def mixed_sum(tails: Sequence[Tail], others: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """The sum of all tails and of the maps ``others`` (N, C', H, W) times their weights (None: 1)."""
    pieces: list[Tensor | None] = []
    for tail in tails:
        weight = tail.kernel.new_ones(()) if tail.weight is None else tail.weight.to(tail.kernel.dtype)
        pieces += [tail.inputs, tail.kernel, tail.scale, tail.shift, weight]
    for value, factor in others:
        pieces += [value, factor]
    eps = tuple(tail.eps for tail in tails)
    found: Tensor = _MixedSum.apply(len(tails), eps, *pieces)  # type: ignore[no-untyped-call]
    return found


def normalised(tail: Tail) -> Tensor:
    """relu(BN(kernel · inputs)): only it and ``inputs`` are kept."""
    found: Tensor = _Normalised.apply(tail.eps, tail.inputs, tail.kernel, tail.scale, tail.shift)  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True)
class _Statistics:
    """Of P d over a batch's pixels, from d: ``mean`` (C,), ``covariance`` (C, C) of d; ``inverse`` (C',), 1 / std."""

    mean: Tensor
    covariance: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, pixels: Tensor, kernel: Tensor, eps: float) -> _Statistics:
        count = len(pixels)
        mean = pixels.sum(0) / count
        covariance = torch.addmm(torch.outer(mean, mean), pixels.T, pixels, beta=-1, alpha=1 / count)
        variance = ((kernel @ covariance) * kernel).sum(1).clamp_min_(0)
        return cls(mean, covariance, torch.rsqrt(variance + eps))


def _matrix(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N H W, C); a view where channels are last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _map(pixels: Tensor, like: Tensor) -> Tensor:
    """(N H W, C') → (N, C', H, W) in the size of ``like``, channels last."""
    n, _, height, width = like.shape
    return pixels.view(n, height, width, -1).permute(0, 3, 1, 2)


def _scaled(kernel: Tensor, inverse: Tensor, scale: Tensor | None) -> Tensor:
    """The kernel with BatchNorm's division and scale in it, (C', C)."""
    return kernel * (inverse if scale is None else inverse * scale)[:, None]


def _back(
    pixels: Tensor,
    gradient: Tensor,
    total: Tensor,
    kernel: Tensor,
    scale: Tensor | None,
    stats: _Statistics,
    *,
    inputs: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Gradients of BN(P d) scale, for ``gradient`` (pixels, C') whose sum over pixels is ``total``:
    (of d, or None, of P, and <gradient, BN(P d)> for each channel, (C',)).
    """
    count = len(pixels)
    moment = torch.addmm(torch.outer(total, stats.mean), gradient.T, pixels, beta=-1)  # gradient^T (d - mean), (C', C)
    gain = stats.inverse if scale is None else stats.inverse * scale
    along = (moment * kernel).sum(1) * stats.inverse  # <gradient, normalised> for each channel
    pull = gain * along / count * stats.inverse
    spread = (kernel * pull[:, None]) @ stats.covariance * count
    of_kernel = moment * gain[:, None] - spread
    if not inputs:
        return None, of_kernel, along
    mixing = kernel.T @ (kernel * pull[:, None])  # (C, C): the way through the variance
    constant = stats.mean @ mixing - (gain * total / count) @ kernel
    of_inputs = torch.addmm(constant, pixels, mixing, alpha=-1).addmm_(gradient, kernel * gain[:, None])
    return of_inputs, of_kernel, along


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, eps: float, x: Tensor, kernel: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        pixels = _matrix(x)
        stats = _Statistics.of(pixels, kernel, eps)
        matrix = _scaled(kernel, stats.inverse, scale)
        constant = -(matrix @ stats.mean) if shift is None else shift - matrix @ stats.mean
        # a convolution adds the constant on its way; a matrix product would copy it to every pixel first
        out = F.conv2d(x, matrix[:, :, None, None], constant).relu_()
        ctx.save_for_backward(x, kernel, scale, out, stats.mean, stats.covariance, stats.inverse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel, scale, out, mean, covariance, inverse = ctx.saved_tensors
        gradient = _matrix(torch.ops.aten.threshold_backward(gradients[0], out, 0))
        total = gradient.sum(0)
        stats = _Statistics(mean, covariance, inverse)
        needs = ctx.needs_input_grad
        of_x, of_kernel, along = _back(_matrix(x), gradient, total, kernel, scale, stats, inputs=needs[1])
        return (
            None,
            None if of_x is None else _map(of_x, x),
            of_kernel if needs[2] else None,
            along if needs[3] else None,
            total if needs[4] else None,
        )


class _MixedSum(torch.autograd.Function):
    """Pieces: five of each tail (inputs, kernel, scale, shift, weight), then two of each other (value, weight)."""

    @staticmethod
    def forward(ctx: Any, count: int, eps: tuple[float, ...], *pieces: Tensor | None) -> Tensor:
        saved: list[Tensor | None] = []
        total: Tensor | None = None
        constant: Tensor | None = None
        like: Tensor | None = None
        for place in range(count):
            x, kernel, scale, shift, weight = pieces[5 * place : 5 * place + 5]
            assert x is not None and kernel is not None and weight is not None
            pixels, like = _matrix(x), x
            stats = _Statistics.of(pixels, kernel, eps[place])
            matrix = _scaled(kernel, stats.inverse, scale) * weight
            offset = -(matrix @ stats.mean) if shift is None else shift * weight - matrix @ stats.mean
            constant = offset if constant is None else constant + offset
            total = pixels @ matrix.T if total is None else total.addmm_(pixels, matrix.T)
            saved += [x, kernel, scale, shift, weight, stats.mean, stats.covariance, stats.inverse]
        if total is not None and constant is not None:
            total += constant
        for place in range(5 * count, len(pieces), 2):
            value, weight = pieces[place], pieces[place + 1]
            assert value is not None
            like = value if like is None else like
            pixels = _matrix(value)
            if total is None:
                total = pixels.clone() if weight is None else pixels * weight
            else:
                total = total.add_(pixels) if weight is None else total.addcmul_(pixels, weight)
            saved += [value if weight is not None and weight.requires_grad else None, weight]
        ctx.count, ctx.shapes = count, None if like is None else like.shape
        ctx.save_for_backward(*saved)
        assert total is not None and like is not None
        return _map(total, like)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved, needs, outer = ctx.saved_tensors, ctx.needs_input_grad[2:], gradients[0]
        gradient = _matrix(outer)
        total = gradient.sum(0) if ctx.count else gradient
        found: list[Tensor | None] = []
        for place in range(ctx.count):
            x, kernel, scale, shift, weight, mean, covariance, inverse = saved[8 * place : 8 * place + 8]
            wants = needs[5 * place : 5 * place + 5]
            found += _tail_gradients(
                x, kernel, scale, shift, weight, _Statistics(mean, covariance, inverse), gradient, total, wants
            )
        for place in range(ctx.count * 5, len(needs), 2):
            value, weight = saved[8 * ctx.count + place - 5 * ctx.count :][:2]
            of_value = (outer if weight is None else outer * weight) if needs[place] else None
            found += [of_value, _inner(gradient, value) if needs[place + 1] else None]
        return (None, None, *found)


def _tail_gradients(
    x: Tensor,
    kernel: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    weight: Tensor,
    stats: _Statistics,
    gradient: Tensor,
    total: Tensor,
    wants: Sequence[bool],
) -> list[Tensor | None]:
    """Of a tail's five pieces. The weight is a factor of BatchNorm's scale."""
    factor = weight if scale is None else scale * weight
    factor = factor.expand(len(kernel)) if factor.ndim == 0 else factor
    of_x, of_kernel, along = _back(_matrix(x), gradient, total, kernel, factor, stats, inputs=wants[0])
    of_weight = None
    if wants[4]:
        of_weight = (along if scale is None else along * scale).sum()
        of_weight = of_weight if shift is None else of_weight + (total * shift).sum()
    return [
        None if of_x is None else _map(of_x, x),
        of_kernel if wants[1] else None,
        along * weight if wants[2] else None,
        total * weight if wants[3] else None,
        of_weight,
    ]


def _inner(gradient: Tensor, value: Tensor | None) -> Tensor:
    """<gradient, value>, both over all pixels and channels."""
    assert value is not None
    return torch.dot(gradient.reshape(-1), _matrix(value).reshape(-1))
