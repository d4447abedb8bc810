"""Choices whose options cannot be mixed: they are drawn, and learn from how good what was drawn is.

A width is mixed by masks and an op by a weighted sum, but a network strides or it does not. Whatever a method does with
the other choices, one option of such a choice is drawn by its probability each time that the network is asked. Its
logits learn by the score function (REINFORCE, which ProxylessNAS has as its second way, arXiv 1812.00332, section 3.3):
the gradient of (L - b) log p, where L is the loss under the drawn option, p its probability and b the mean loss so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hwnas.search.gradient.step import Batch, Loss
from hwnas.supernet.mixing import sampled
from hwnas.training.checkpoint import Part

if TYPE_CHECKING:
    from hwnas.search.gradient.logits import Learned

DECAY = 0.9
"""Of the moving average of losses."""


class Drawing:
    """``loss_of`` with one option of each of the choices ``names`` drawn anew at every call.

    The weights that it is given for these are their probabilities. The baseline is a moving average of the losses that
    :meth:`score` was told; the first one teaches nothing.
    """

    def __init__(self, loss_of: Loss, logits: Learned, names: Sequence[str]) -> None:
        self.loss_of, self.logits, self.names = loss_of, logits, tuple(names)
        self.places: dict[str, int] = {}
        """The options that were drawn last."""
        self.usual: float | None = None

    def __call__(self, weights: Mapping[str, Tensor], batch: Batch) -> Tensor:
        drawn = {name: sampled(weights[name].detach().log()) for name in self.names}
        self.places = {name: int(vector.argmax()) for name, vector in drawn.items()}
        return self.loss_of({**weights, **drawn}, batch)

    def score(self, loss: float) -> Tensor:
        """What has the score function's gradient, for the ``loss`` under what was drawn last; moves the baseline."""
        advantage = 0.0 if self.usual is None else loss - self.usual
        self.usual = loss if self.usual is None else DECAY * self.usual + (1 - DECAY) * loss
        probabilities = self.logits.weights()
        return advantage * torch.stack([probabilities[name][place].log() for name, place in self.places.items()]).sum()

    def part(self) -> Part:
        """Its state."""

        def recall(facts: Any) -> None:
            self.usual = facts["usual"]

        return Part(facts=lambda: {"usual": self.usual}, recall=recall)
