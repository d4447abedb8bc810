"""From logits over a choice's options to the weights that a relaxed network takes: vectors of shape (options,).

Logits are the parameters of a method (DARTS's α). Randomness comes from a generator that is passed in, so that a search
that was stopped goes on as it would have gone on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Mixing = Callable[[Tensor], Tensor]
"""Logits → weights."""


def softmax(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Weights that sum to 1 (DARTS, arXiv 1806.09055)."""
    return torch.softmax(logits / temperature, dim=-1)


def sigmoid(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Weights that do not compete (FairDARTS, arXiv 1911.12126)."""
    return torch.sigmoid(logits / temperature)


def gumbel_softmax(
    logits: Tensor, temperature: float = 1.0, *, hard: bool = False, generator: torch.Generator | None = None
) -> Tensor:
    """A random draw from the softmax, relaxed (arXiv 1611.01144); softer for higher temperatures.

    ``hard``: exactly one-hot, with the gradient of the soft draw (straight through). A relaxed network computes only
    the drawn branch then.
    """
    uniform = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
    tiny = torch.finfo(logits.dtype).tiny
    noise = uniform.clamp_min(tiny).log().neg().clamp_min(tiny).log().neg()
    soft = torch.softmax((logits + noise) / temperature, dim=-1)
    return straight_through(soft) if hard else soft


def sampled(logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """One option drawn from the softmax, one-hot and without a gradient: a sampled path."""
    drawn = torch.multinomial(torch.softmax(logits.detach(), dim=-1), 1, generator=generator)
    return torch.zeros_like(logits).scatter(-1, drawn, 1.0)


def straight_through(soft: Tensor) -> Tensor:
    """One-hot at the largest of ``soft``, exactly 0 elsewhere, with the gradient of ``soft``."""
    place = soft.detach().argmax(dim=-1, keepdim=True)
    hard = torch.zeros_like(soft).scatter(-1, place, 1.0)
    return _Straight.apply(soft, hard)  # type: ignore[no-any-return, no-untyped-call]


def mix(logits: Mapping[str, Tensor], mixing: Mixing = softmax) -> dict[str, Tensor]:
    """``mixing`` on every choice."""
    return {name: mixing(vector) for name, vector in logits.items()}


class _Straight(torch.autograd.Function):
    """``hard``, exactly (``hard + soft - soft`` has no exact zeros), with the gradient going to ``soft``."""

    @staticmethod
    def forward(ctx: object, soft: Tensor, hard: Tensor) -> Tensor:
        return hard.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
