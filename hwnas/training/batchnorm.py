"""BatchNorm statistics measured anew for the weights a network has now."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every running mean and variance to the average over ``batches`` of images (N, 3, H, W), normalised.

    All other layers behave as in evaluation. The network is left in evaluation mode. Nothing changes where there are
    no batches. Slices of a supernet need this: their statistics were never gathered (OFA, arXiv 1908.09791).
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    started = False
    for images in batches:
        if not started:
            started = True
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # cumulative average
                norm.train()
        network(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
