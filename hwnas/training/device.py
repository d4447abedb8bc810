"""Where and in which precision training computes: a lightning Fabric, and the settings that make a CPU fast."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

import torch
from lightning.fabric import Fabric
from torch import nn

from hwnas.errors import HwnasError
from hwnas.training.recipe import Recipe

Module = TypeVar("Module", bound=nn.Module)

FABRIC_PRECISION: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def make_fabric(recipe: Recipe, *, device: str = "cpu", threads: int | None = None) -> Fabric:
    """A single-process Fabric on ``"cpu"``, ``"cuda"`` or ``"mps"``; ``threads`` bounds torch's CPU threads.

    Denormal numbers are flushed to zero: weights that decay to them make a CPU an order of magnitude slower.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    try:
        return Fabric(accelerator=device, devices=1, precision=FABRIC_PRECISION[recipe.precision])
    except (RuntimeError, ValueError) as error:
        raise HwnasError(f"cannot train on device {device!r}: {error}", "train on the device 'cpu'") from error


def channels_last(network: Module) -> Module:
    """Lay the kernels out for NHWC, in place. Given images in that layout, a CPU trains a fifth faster."""
    anything: Any = network
    anything.to(memory_format=torch.channels_last)
    return network
