"""What the set-ups of gradient methods have in common: the network, its optimizer, and sampling that cools down."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hwnas.errors import HwnasError
from hwnas.search.gradient.order import Order
from hwnas.spaces.relaxed import RelaxedSpace
from hwnas.supernet.mixing import Mixing, gumbel_softmax, softmax
from hwnas.supernet.relaxed import RelaxedNetwork

HOT, COLD = 3.0, 0.5
"""Temperature of Gumbel-softmax at the beginning and from nine tenths of the budget on."""


@dataclass
class Cooling:
    """A mixing whose temperature falls with the budget; ``hard`` draws one option, and only that is computed."""

    hard: bool = True
    fraction: float = 0.0

    @property
    def temperature(self) -> float:
        return max(COLD, HOT + (COLD - HOT) * self.fraction / 0.9)

    def __call__(self, logits: Tensor) -> Tensor:
        return gumbel_softmax(logits, self.temperature, hard=self.hard)


def network_of(order: Order, space: RelaxedSpace | None = None, *, affine: bool = True) -> RelaxedNetwork:
    """The relaxed network for the order's crops."""
    chosen = space or order.space
    graph = chosen.supergraph(order.shape, order.classes)
    return RelaxedNetwork(graph, chosen.relaxation, seed=order.seed, affine=affine)


def mixing_of(order: Order, default: str = "sampled") -> Mixing:
    """What the option ``paths`` asks for: ``soft`` computes all of them, ``sampled`` one a step (hard Gumbel)."""
    wanted = str(order.options.get("paths", default))
    if wanted not in ("soft", "sampled"):
        raise HwnasError(f"paths cannot be {wanted!r}", "they can be: soft, sampled")
    return softmax if wanted == "soft" else Cooling()


def cool(mixing: Mixing, fraction: float) -> None:
    """Tell a cooling mixing how much of the budget is spent."""
    if isinstance(mixing, Cooling):
        mixing.fraction = fraction
