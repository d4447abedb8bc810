"""What a gradient method is: a step that the one training loop takes, and what it has learned so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from hwnas.spaces.relaxed import Probabilities

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.training.checkpoint import Part

Batch = tuple["Tensor", "Tensor"]
"""Images (N, 3, H, W) and labels: (N, H, W) of segmentation, (N,) of classification."""


Loss = Callable[[Mapping[str, "Tensor"], Batch], "Tensor"]
"""(Weights of the soft choices, a batch) → the network's loss."""


class RelaxedStep(Protocol):
    """A gradient method's step; :func:`hwnas.search.gradient.fitting.fit_relaxation` takes it to the loop."""

    def begin(self, fraction: float) -> None:
        """Before each step: how much of the budget is spent, 0 to 1 (temperatures, warm-up)."""

    def step(self, train: Batch, val: Batch) -> Mapping[str, float]:
        """Update what belongs to the method on ``val``; leave the weights' gradients on ``train`` in the parameters.

        Returns what is logged; ``"loss"`` is the weights' loss. DivergedError where the logits are no longer finite;
        they are then as before the step.
        """

    def relaxation(self) -> Probabilities:
        """What has been learned: a probability for each option of each soft choice."""

    def parts(self) -> dict[str, Part]:
        """Its state, from which it goes on exactly; the network's weights and their optimizer are the loop's."""

    @property
    def finished(self) -> bool:
        """Whether it wants to stop before the budget is spent."""


class LatencyBudget(Protocol):
    """Holds the expected latency down while the relaxation is learned (:mod:`hwnas.search.gradient.budget`)."""

    def penalty(self, expected_ms: Tensor) -> Tensor:
        """What is added to the loss of the logits; differentiable, a scalar."""

    def update(self, expected_ms: float) -> None:
        """Once a step, with the expected latency that its penalty was of."""

    def parts(self) -> dict[str, Part]:
        """Its state."""
