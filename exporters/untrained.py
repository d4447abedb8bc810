"""Random weights that cost the time of trained ones: for kernels and networks that are only timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def randomise(module: nn.Module, seed: int) -> None:
    """Initialise ``module`` as the compiler does, then give it random biases and means of BatchNorm, in place.

    Biases start as zeros, which exporters optimise away and a trained network's are not; and without
    biases a deep chain's values fade to denormals, which are slow. The global random state is left as it was.
    """
    import torch
    from torch import nn

    from hwnas.compiler.network import initialise

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        initialise(module)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d | nn.Conv2d):
                for tensor in (getattr(part, "running_mean", None), part.bias):
                    if tensor is not None:
                        nn.init.normal_(tensor, std=0.5)
