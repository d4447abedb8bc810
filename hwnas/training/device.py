"""Where and in which precision training computes: a lightning Fabric, and the settings that make a CPU fast."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import nn
from torch.amp import GradScaler

from hwnas.errors import HwnasError
from hwnas.training.recipe import Recipe

if TYPE_CHECKING:
    from hwnas.training.group import Group

Module = TypeVar("Module", bound=nn.Module)

GROUP_TIMEOUT_S = 600.0
"""A process that has not been heard of for so long within a step has failed."""

FABRIC_PRECISION: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def make_fabric(
    recipe: Recipe, *, device: str = "cpu", threads: int | None = None, group: Group | None = None
) -> Fabric:
    """A Fabric on ``"cpu"``, ``"cuda"`` or ``"mps"``; ``threads`` bounds torch's CPU threads.

    It is one of a single process, or of the processes of a ``group``, which are waited for here.
    With bf16 and fp16, convolutions compute in them and everything that adds up stays in fp32 (autocast). HwnasError
    where there is no such device, and for fp16 on a CPU. Denormal numbers are flushed to zero: weights that decay to
    them make a CPU an order of magnitude slower.
    """
    if recipe.precision == "fp16" and device == "cpu":
        raise HwnasError("a CPU does not train in fp16", "train on a GPU (--device cuda), or in bf16 or fp32")
    if threads is not None:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    for chatty in ("lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        if group is None:
            return Fabric(accelerator=device, devices=1, precision=FABRIC_PRECISION[recipe.precision])
        return _fabric_of(group, device, FABRIC_PRECISION[recipe.precision])
    except (RuntimeError, ValueError) as error:
        raise HwnasError(f"cannot train on device {device!r}: {error}", "train on the device 'cpu'") from error


def _fabric_of(group: Group, device: str, precision: Any) -> Fabric:
    fabric = Fabric(
        accelerator=device,
        devices=group.count,
        strategy=DDPStrategy(timeout=timedelta(seconds=GROUP_TIMEOUT_S)),
        plugins=[_Place(group)],
        precision=precision,
    )
    group.meet()
    fabric.launch()
    return fabric


class _Place(ClusterEnvironment):
    """What Fabric asks about a process's place in its group, which began it."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self._group = group

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self._group.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._group.count

    def set_world_size(self, size: int) -> None:
        assert size == self._group.count

    def global_rank(self) -> int:
        return self._group.rank

    def set_global_rank(self, rank: int) -> None:
        assert rank == self._group.rank

    def local_rank(self) -> int:
        return self._group.rank

    def node_rank(self) -> int:
        return 0


def scaler_of(fabric: Fabric) -> GradScaler | None:
    """What keeps small gradients from vanishing in fp16; None in other precisions."""
    found: GradScaler | None = getattr(fabric.strategy.precision, "scaler", None)
    return found


@contextmanager
def deterministic(device: str) -> Iterator[None]:
    """Only algorithms that give the same bits every time; a GPU warns of an op that has none, a CPU has them all."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """What is drawn inside leaves the caller's random state as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """Let everything that step number ``step`` draws depend on the seed and the number alone.

    So a training that goes on at any step draws what it would have drawn, and no random state has to be kept.
    """
    number = int(np.random.SeedSequence(seed, spawn_key=(step,)).generate_state(1, np.uint64)[0]) >> 1
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


def channels_last(network: Module) -> Module:
    """Lay the kernels out for NHWC, in place. Given images in that layout, a CPU trains a fifth faster."""
    anything: Any = network
    anything.to(memory_format=torch.channels_last)
    return network
