"""CAS (arXiv 1908.09550, CVPR 2019): cost-weighted relaxation of a normal, a reduction and a multi-scale cell.

The paper's objective is the loss plus what the architecture's operations cost, each operation's cost weighted by its
softmaxed α: GPU time, CPU time, multiply-adds and parameters, in whatever mix the user is bound by. Here ``costs`` is
that mix, as in ``macs=0.1+params=0.05``: the expected cost of the relaxation, relative to its mean over the space where
nothing has been learned, times its weight. Time on the device at hand is the budget's, by the table, and a constraint;
the time of another device is a cost like the others, by the name of its table.

What differs. The paper's cells have an op on every edge of a complete graph, ours two edges a block (see
:mod:`hwnas.spaces.cas`). It searches by first-order bilevel steps over all ops (``paths=soft``); unless that is asked
for, one a step is drawn. The constraint is met in the end, by repair, and not only penalised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hwnas.errors import HwnasError
from hwnas.search.gradient.bilevel import Bilevel, alpha_optimizer
from hwnas.search.gradient.cooled import Cooled
from hwnas.search.gradient.expected import DrawnExpectation
from hwnas.search.gradient.logits import Expected, Logits
from hwnas.search.gradient.order import Order, Prepared
from hwnas.search.gradient.setup import mixing_of, network_of
from hwnas.search.gradient.step import LatencyBudget
from hwnas.training.optimizer import make_optimizer

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.training.checkpoint import Part

RATE = 3e-3
LEARN_FROM = 0.1
DEFAULT_COSTS = "macs=0.1+params=0.05"


class CostWeighted:
    """A budget and, beside it, expected costs times their weights."""

    def __init__(
        self, budget: LatencyBudget, costs: Mapping[str, Expected], weights: Mapping[str, float], logits: Logits
    ) -> None:
        self.budget, self.costs, self.weights, self.logits = budget, dict(costs), dict(weights), logits

    def penalty(self, expected_ms: Tensor) -> Tensor:
        total = self.budget.penalty(expected_ms)
        now = self.logits.weights()
        for name, weight in self.weights.items():
            total = total + weight * self.costs[name](now)
        return total

    def update(self, expected_ms: float) -> None:
        self.budget.update(expected_ms)

    def parts(self) -> dict[str, Part]:
        drawn = {name: self.costs[name] for name in self.weights}
        own = {f"cost_{name}": cost.part() for name, cost in drawn.items() if isinstance(cost, DrawnExpectation)}
        return {**self.budget.parts(), **own}


def parse_costs(text: str) -> dict[str, float]:
    """``"macs=0.1+params=0.05"`` → the weight of each cost; HwnasError for anything else. Empty: none."""
    weights = {}
    for part in filter(None, text.split("+")):
        name, equals, number = part.partition("=")
        try:
            weights[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name.strip() or not weights[name.strip()] >= 0:
            raise HwnasError(f"{part!r} is no cost with a weight", "write them like macs=0.1+params=0.05")
    return weights


def prepare(order: Order) -> Prepared:
    """Options: ``costs``, ``paths`` (sampled), ``learn_from`` (0.1)."""
    weights = parse_costs(str(order.options.get("costs", DEFAULT_COSTS)))
    network = network_of(order)
    logits = Logits(order.space.relaxation, seed=order.seed)
    bilevel = Bilevel(
        order.loss(network),
        logits,
        network.parameters(),
        optimizer=alpha_optimizer(logits, lr=float(order.options.get("rate", RATE))),
        mixing=mixing_of(order),
        learn_from=float(order.options.get("learn_from", LEARN_FROM)),
        expected_ms=order.expected_ms,
        budget=CostWeighted(order.budget, order.costs, weights, logits),
    )
    return Prepared(Cooled(bilevel), network, make_optimizer(network.parameters(), order.recipe))
