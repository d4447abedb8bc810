"""The moving average of a network's weights during training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of ``network``'s parameters; call ``update_parameters(network)`` after each step.

    The decay rises with the steps n as min(decay, (1 + n) / (10 + n)), so that a short training does not end in an
    average of its first steps. Buffers are copied, not averaged: recalibrate BatchNorm afterwards.
    """

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        steps = float(count)
        torch._foreach_lerp_(list(averaged), list(current), 1.0 - min(decay, (1.0 + steps) / (10.0 + steps)))

    return AveragedModel(network, multi_avg_fn=update, use_buffers=False)
