"""ProxylessNAS (arXiv 1812.00332): binary gates, two paths sampled a step, latency in expected milliseconds.

Section 3.2: the gates of a choice are one-hot, so that one path is in memory while the weights are trained. For the
architecture's step two paths are drawn by their probabilities (section 3.2.1); both are computed, one of them is open,
and the gradient of the gates goes to the two logits by equation 4, ∂L/∂α_i ≈ Σ_j ∂L/∂g_j p_j (δ_ij - p_i), the sum over
the pair. Latency is the expectation of equations 6 and 7, in milliseconds by the table, on the target: no proxy.

What differs. The loss holds the expectation to a budget instead of adding it with a weight to choose, and its gradient
reaches all logits, not the pair's alone; so the paper's rescaling, which keeps the others' probabilities, is left out.
Choices whose options cannot be mixed have no pair: they learn as in :mod:`hwnas.search.gradient.drawn`.
The closed one of the pair is open by 1e-12, which is how its value comes to be computed. Adam has no first momentum, as
in the authors' code, so that logits that were not drawn stay.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hwnas.search.gradient.bilevel import Bilevel
from hwnas.search.gradient.cooled import Cooled
from hwnas.search.gradient.logits import Logits
from hwnas.search.gradient.order import Order, Prepared
from hwnas.search.gradient.setup import network_of
from hwnas.supernet.mixing import sampled
from hwnas.training.optimizer import make_optimizer

AJAR = 1e-12
RATE = 6e-3
"""Of Adam on the logits; 0.006 in the authors' code."""
LEARN_FROM = 0.2


def pair_gates(logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Gates of two paths drawn by their probabilities: one is 1, the other all but closed, the rest exactly 0.

    The gradient of the two goes to the softmax over their logits alone.
    """
    if len(logits) == 1:
        return torch.ones_like(logits)
    shares = torch.softmax(logits.detach(), dim=-1)
    pair = torch.multinomial(shares + torch.finfo(shares.dtype).tiny, 2, generator=generator)
    soft = torch.softmax(logits[pair], dim=-1)
    first = int(torch.multinomial(soft.detach(), 1, generator=generator))
    hard = torch.full_like(soft, AJAR).detach()
    hard[first] = 1.0
    gates: Tensor = _Gates.apply(soft, hard)  # type: ignore[no-untyped-call]
    return torch.zeros_like(logits).index_put((pair,), gates)


class _Gates(torch.autograd.Function):
    """Gives ``hard`` and hands the gradient on to ``soft``."""

    @staticmethod
    def forward(ctx: object, soft: Tensor, hard: Tensor) -> Tensor:
        return hard.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def prepare(order: Order) -> Prepared:
    """Options: ``learn_from`` (0.2), ``rate`` (0.006)."""
    network = network_of(order)
    logits = Logits(order.space.relaxation, seed=order.seed, soft=network.drawn)
    optimizer = torch.optim.Adam(
        list(logits.parameters()), lr=float(order.options.get("rate", RATE)), betas=(0.0, 0.999)
    )
    bilevel = Bilevel(
        order.loss(network),
        logits,
        network.parameters(),
        optimizer=optimizer,
        mixing=pair_gates,
        weights_mixing=sampled,
        learn_from=float(order.options.get("learn_from", LEARN_FROM)),
        expected_ms=order.expected_ms,
        budget=order.budget,
        drawn=network.drawn,
    )
    return Prepared(Cooled(bilevel), network, make_optimizer(network.parameters(), order.recipe))
