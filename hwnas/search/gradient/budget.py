"""A latency budget as a constraint on the relaxation, not a term of its loss with a weight to be guessed.

The constraint is on the expected latency: g = expected / (allowance · limit) - 1 ≤ 0, the allowance being 1 at first.
It is held by an augmented Lagrangian (Nocedal and Wright, Numerical Optimization, 17.4, for inequalities),

    penalty = (max(0, λ + ρ g)² - λ²) / 2ρ,        λ ← max(0, λ + ρ g / patience)   after every update,

whose multiplier λ finds the weight by itself: it rises while the expectation is over the limit and falls to 0 where the
budget does not bind, and there the gradient is that of the loss alone. ρ, the loss that an excess of 100% costs at
least, is in units of the loss (a cross-entropy of about 1).

The expectation is over a distribution, and what is derived from it may lie off it, by the discretisation gap: while a
path is undecided its expectation holds a little of all paths, and is above any cheap one. Held at the limit it would
press on and on for something cheaper than anybody asked for. So the expectation is held where what is derived *now*
would be at the limit (:meth:`AugmentedLagrangian.follow`), within :data:`FARTHEST` of it. What holds the budget in the
end is :mod:`hwnas.search.gradient.repair`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hwnas.errors import BudgetError

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.training.checkpoint import Part

PATIENCE = 10
"""Updates in which the multiplier moves by as much as the penalty's own slope."""
FARTHEST = 1.5
"""The expectation is held at the limit times or divided by this at most."""
MOST = 1e3
"""The multiplier goes no higher: where nothing in the space is within the limit it would rise for ever."""


class AugmentedLagrangian:
    """Holds an expected latency at ``limit_ms`` or less; a :class:`~hwnas.search.gradient.step.LatencyBudget`."""

    def __init__(self, limit_ms: float, *, rho: float = 2.0, patience: float = PATIENCE) -> None:
        if not (math.isfinite(limit_ms) and limit_ms > 0):
            raise BudgetError(f"a budget of {limit_ms:g} ms cannot be met", "give one above zero: --budget 10ms")
        self.limit_ms, self.rho, self.patience = limit_ms, rho, patience
        self.multiplier = 0.0
        self.allowance = 1.0

    @property
    def held_ms(self) -> float:
        """Where the expectation is held."""
        return self.allowance * self.limit_ms

    def penalty(self, expected_ms: Tensor) -> Tensor:
        """What is added to the loss of the relaxation; its slope is zero where the limit is kept and λ is 0."""
        pressed = (self.multiplier + self.rho * (expected_ms / self.held_ms - 1)).clamp_min(0.0)
        return (pressed.square() - self.multiplier**2) / (2 * self.rho)

    def update(self, expected_ms: float) -> None:
        """Once a step, with the expectation that the penalty was of."""
        moved = self.multiplier + self.rho * (expected_ms / self.held_ms - 1) / self.patience
        self.multiplier = min(max(0.0, moved), MOST)

    def follow(self, gap: float | None) -> None:
        """Hear of a look at what would be derived: ``gap`` is its latency over the expectation, less one; None before
        there is an expectation."""
        if gap is not None:
            self.allowance = min(max(1 / (1 + gap), 1 / FARTHEST), FARTHEST)

    def parts(self) -> dict[str, Part]:
        from hwnas.training.checkpoint import Part

        return {"multiplier": Part(facts=self._facts, recall=self._recall)}

    def _facts(self) -> dict[str, float]:
        return {"multiplier": self.multiplier, "allowance": self.allowance}

    def _recall(self, facts: Mapping[str, Any]) -> None:
        self.multiplier, self.allowance = float(facts["multiplier"]), float(facts["allowance"])
