"""What the processes of the tests in test_group.py do; the other processes import this, and nothing of pytest."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tiny_world import CLASSES, colored_tiles, tiny
from torch import Tensor, nn

from hwnas.compiler.network import compile_graph
from hwnas.compiler.weights import save_weights
from hwnas.training import train as training
from hwnas.training.device import make_fabric
from hwnas.training.group import Group
from hwnas.training.parallel import Parallel
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from hwnas.training.sizes import at_shape
from hwnas.training.step import NetworkStep
from hwnas.training.train import Trained, train_network

RECIPE = Recipe(lr=0.02, batch=4, scale=(1.0, 1.0), crop=0.5, full_size=0.5, ema=0.5)
STEPS = 6


def batch_of(count: int) -> tuple[Tensor, Tensor]:
    """The same images and masks in every process."""
    rng = np.random.default_rng(5)
    images = torch.from_numpy(rng.normal(size=(count, 3, 32, 32)).astype(np.float32))
    return images, torch.from_numpy(rng.integers(0, CLASSES, (count, 32, 32)))


def network(*, frozen_statistics: bool) -> nn.Module:
    made = at_shape(compile_graph(tiny((3, 32, 32)), seed=1), tiny, (3, 32, 32)).train()
    for module in made.modules():
        if frozen_statistics and isinstance(module, nn.BatchNorm2d):
            module.eval()
    return made


def pixel_loss(logits: Tensor, masks: Tensor) -> Tensor:
    return nn.functional.cross_entropy(nn.functional.interpolate(logits, size=masks.shape[1:]), masks)


def gradients_of(
    batch: tuple[Tensor, Tensor], *, frozen_statistics: bool, group: Group | None = None
) -> tuple[dict[str, Tensor], float]:
    """The gradients that one step leaves, and its loss."""
    parallel = Parallel(FABRICS.get(group) or FABRICS.setdefault(group, make_fabric(RECIPE, group=group)))
    ours = network(frozen_statistics=frozen_statistics)
    step = parallel.shared(NetworkStep(parallel._fabric, parallel.module(ours), pixel_loss, 0.0))
    loss = step(batch)["loss"]
    return {name: parameter.grad for name, parameter in ours.named_parameters() if parameter.grad is not None}, loss


FABRICS: dict[Group | None, object] = {}


def train(folder: Path, group: Group | None, **options: object) -> Trained:
    return train_network(
        tiny,
        colored_tiles(),
        np.arange(10),
        CLASSES,
        recipe=RECIPE,
        budget=Budget(steps=STEPS),
        group=group,
        checkpoint=folder / "checkpoint.safetensors",
        checkpoint_seconds=0.0,
        log=folder / "log.jsonl",
        **options,  # type: ignore[arg-type]
    )


def both(folder: Path, group: Group) -> dict[str, dict[str, Tensor]]:
    """The gradients of this process, with either kind of statistics."""
    images, masks = batch_of(8)
    half = slice(4 * group.rank, 4 * group.rank + 4)
    found: dict[str, dict[str, Tensor]] = {}
    for name, frozen in (("frozen", True), ("live", False)):
        found[name], loss = gradients_of((images[half], masks[half]), frozen_statistics=frozen, group=group)
        found[name]["loss"] = torch.tensor(loss)
    FABRICS.clear()
    return found


def work(folder: Path, group: Group) -> None:
    for name, tensors in both(folder, group).items():
        save_weights(tensors, folder / f"{name}.safetensors", {})


def trained(folder: Path, group: Group) -> None:
    save_weights(train(folder, group).network, folder / "second.safetensors", {})


def dying(folder: Path, group: Group) -> None:
    _at_step(3, lambda: os.kill(os.getpid(), signal.SIGKILL))
    train(folder, group)


def _at_step(number: int, act: Callable[[], None]) -> None:
    before = training.seed_step

    def seed_step(seed: int, step: int, device: torch.device) -> None:
        if step == number:
            act()
        before(seed, step, device)

    training.seed_step = seed_step
