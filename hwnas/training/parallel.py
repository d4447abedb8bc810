"""One training in several processes: the gradients of all are averaged (DistributedDataParallel, through Fabric).

A step of N devices takes N batches; where the loss is a mean over as many pixels on each, its gradient is that of one
device with a batch N times as large. BatchNorm is the exception: each device normalises with the statistics of its own
batch, as DistributedDataParallel does. The statistics that the network is left with are measured in the end, by the
first process, and do not depend on the number of devices.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeVar

import torch
from lightning.fabric import Fabric
from torch import nn

from hwnas.clock import Clock
from hwnas.training.loop import Step

Batch = TypeVar("Batch")


class Parallel:
    """What the processes of a training share beside the gradients: the figures, which are means over all of them, and
    the clock, which is the first one's. So all see the same learning rate, and the same end."""

    def __init__(self, fabric: Fabric, clock: Clock = time.monotonic) -> None:
        self._fabric = fabric
        self._clock = clock
        self._began = clock()
        self._now_s = 0.0

    @property
    def share(self) -> tuple[int, int]:
        """Which of how many batches this process takes."""
        return self._fabric.global_rank, self._fabric.world_size

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self._fabric.global_rank == 0

    def clock(self) -> float:
        """Seconds since the training began here, as of the last step, as the first process counts."""
        if self._fabric.world_size == 1:
            return self._clock() - self._began
        return self._now_s

    def module(self, network: nn.Module) -> nn.Module:
        """``network`` with its gradients averaged in the backward pass."""
        wrapped: nn.Module = self._fabric.setup_module(network) if self._fabric.world_size > 1 else network
        return wrapped

    def shared(self, step: Step[Batch]) -> Step[Batch]:
        """``step`` with the means of its figures over all processes."""
        if self._fabric.world_size == 1:
            return step

        def together(batch: Batch) -> Mapping[str, float]:
            figures = step(batch)
            now_s = self._clock() - self._began if self.leads else 0.0
            mine = torch.tensor([*figures.values(), now_s], dtype=torch.float64, device=self._fabric.device)
            sums = self._fabric.all_reduce(mine, reduce_op="sum")
            assert isinstance(sums, torch.Tensor)
            *totals, self._now_s = sums.tolist()
            return {name: total / self._fabric.world_size for name, total in zip(figures, totals, strict=True)}

        return together
