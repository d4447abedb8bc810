"""What the set-ups of gradient methods have in common: the network, and how its options are mixed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hwnas.ir.opgraph import OpGraph
from hwnas.search.gradient.order import Order
from hwnas.spaces.relaxed import RelaxedSpace
from hwnas.supernet.mixing import Mixing, gumbel_softmax, sigmoid, softmax
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


def network_of(
    order: Order, space: RelaxedSpace | None = None, *, graph: OpGraph | None = None, affine: bool = True
) -> RelaxedNetwork:
    """The relaxed network for the order's crops, of ``graph`` where that is given; with the option ``checkpoint`` (1)
    its branches are computed again in the backward pass rather than kept."""
    chosen = space or order.space
    graph = graph or chosen.supergraph(order.shape, order.classes)
    again = bool(order.options.get("checkpoint", 0))
    return RelaxedNetwork(graph, chosen.relaxation, seed=order.seed, affine=affine, checkpoint=again)


def mixing_of(order: Order, default: str = "sampled") -> Mixing:
    """What the option ``paths`` asks for: ``sampled`` computes one option of a choice a step (hard Gumbel-softmax), the
    others all, weighted by their softmax (``soft``), a soft draw (``gumbel``), or each on its own (``sigmoid``)."""
    wanted = str(order.options.get("paths", default))
    mixings: dict[str, Mixing] = {
        "sampled": Cooling(),
        "gumbel": Cooling(hard=False),
        "soft": softmax,
        "sigmoid": sigmoid,
    }
    return mixings[wanted]


def cool(mixing: Mixing, fraction: float) -> None:
    """Tell a cooling mixing how much of the budget is spent."""
    if isinstance(mixing, Cooling):
        mixing.fraction = fraction
