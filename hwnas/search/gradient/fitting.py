"""From a gradient method's step to a trained relaxation: data in two halves, the one loop, checkpoints, resume."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hwnas.clock import Clock
from hwnas.data.batches import Batches
from hwnas.data.cache import Arrays
from hwnas.data.frequencies import class_amounts
from hwnas.data.holdout import split_blocks
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.opgraph import OpGraph
from hwnas.search.gradient.step import Batch, RelaxedStep
from hwnas.supernet.relaxed import RelaxedNetwork
from hwnas.training.checkpoint import Checkpoint, part_of_module, part_of_optimizer
from hwnas.training.device import own_randomness, scaler_of, seed_step
from hwnas.training.distill import Distillation
from hwnas.training.identity import data_facts, identity_of
from hwnas.training.logs import Log
from hwnas.training.loop import Fitted, Hooks, fit
from hwnas.training.losses import loss_for
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget, Schedule, Spent
from hwnas.training.sizes import augmentation_of, crop_of, logits_node

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from torch.optim import Optimizer

    from hwnas.progress import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Halves:
    """Places of the training images that weights are trained on, and of those that the relaxation is."""

    weights: np.ndarray
    relaxation: np.ndarray


def halve(arrays: Arrays, indices: np.ndarray, classes: int, *, fraction: float = 0.5) -> Halves:
    """Split training images in contiguous blocks, ``fraction`` of them for the relaxation.

    Blocks are placed so that the classes' shares in both parts are alike; a class that one part never shows is warned
    of.
    """
    amounts = class_amounts(arrays, classes)[indices]
    first, second = split_blocks(len(indices), fraction, amounts=amounts)
    for part, what in ((first, "weights"), (second, "architecture")):
        missing = np.flatnonzero((amounts[part].sum(0) == 0) & (amounts.sum(0) > 0))
        if len(missing):
            logger.warning(
                "the half of the training images that the %s are learned on shows no pixel of class %s",
                what,
                ", ".join(map(str, missing)),
            )
    return Halves(indices[first], indices[second])


@dataclass(frozen=True)
class SegmentationLoss:
    """The loss of a relaxed network on a batch, on whatever device and in whatever precision ``fabric`` has: against
    the masks, that of its auxiliary outputs, and its distance from teachers."""

    network: RelaxedNetwork
    fabric: Fabric
    loss_of: Callable[[Tensor, Tensor], Tensor]
    auxiliary_weight: float = 0.0
    teachers: tuple[Distillation, ...] = ()

    @classmethod
    def of(
        cls,
        network: RelaxedNetwork,
        fabric: Fabric,
        recipe: Recipe,
        arrays: Arrays,
        indices: np.ndarray,
        classes: int,
        teachers: Sequence[Distillation] = (),
    ) -> SegmentationLoss:
        """With the recipe's loss, and its class weights from the masks at ``indices``."""
        loss_of = loss_for(recipe, arrays.masks[indices], classes, fabric.device)
        return cls(network, fabric, loss_of, recipe.auxiliary_weight, tuple(teachers))

    def __call__(self, weights: Mapping[str, Tensor], batch: Batch) -> Tensor:
        images, masks = self.fabric.to_device(batch)
        graph = self.network.graph
        outputs = [logits_node(graph), *(logits_node(graph, name) for name in graph.auxiliary)]
        with self.fabric.autocast():
            images = images.contiguous(memory_format=torch.channels_last)
            logits, *hints = self.network.values(images, weights, outputs)
            loss = self.loss_of(logits, masks)
            for hint in hints:
                loss = loss + self.auxiliary_weight * self.loss_of(hint, masks)
            for distance in self.teachers:
                loss = loss + distance(images, logits, masks)
        return loss


def crop_shape(recipe: Recipe, arrays: Arrays) -> tuple[int, int, int]:
    """(3, H, W) of the crops that a search by ``recipe`` sees: what its supergraph is made for."""
    return (3, *crop_of(recipe, arrays.size_hw))


def fit_relaxation(
    step: RelaxedStep,
    network: RelaxedNetwork,
    optimizer: Optimizer,
    arrays: Arrays,
    halves: Halves,
    fabric: Fabric,
    *,
    recipe: Recipe,
    budget: Budget,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 30.0,
    log: Log | None = None,
    progress: Progress | None = None,
    label: str = "search by gradients",
    after_step: Callable[[Spent], None] | None = None,
    clock: Clock = time.monotonic,
) -> Fitted:
    """Train until the budget is spent or the step wants no more; what was learned is in ``step.relaxation()``.

    ``optimizer`` is the weights'. With a ``checkpoint`` (a .safetensors file, written every ``checkpoint_seconds`` and
    at the end) a killed search goes on from there as if it had not been killed; ``facts`` (JSON) say what it is of, and
    a file of another space, seed, recipe or other data is a RunError. Where the logits or the loss diverge, a
    DivergedError names the file with the last good state.
    """
    lines = log or Log()
    saved = None
    if checkpoint is not None:
        identity = identity_of(dict(facts or {}), arrays, halves.weights, recipe=recipe, seed=seed)
        identity["relaxed_on"] = data_facts(arrays, halves.relaxation)
        parts = {"network": part_of_module(network), "optimizer": part_of_optimizer(optimizer), **step.parts()}
        saved = Checkpoint(checkpoint, identity, parts, lines)
        if not saved.restore():
            lines.rewind(0)
            saved.save(saved.spent)  # the last good state, should the first steps diverge
    spent = saved.spent if saved else Spent()

    def before(now: Spent, fraction: float) -> None:
        seed_step(seed, now.steps, fabric.device)
        step.begin(fraction)

    augmentation = augmentation_of(recipe, crop_of(recipe, arrays.size_hw))
    given: dict[str, Any] = {"start": spent.steps, "ahead": 2}
    with (
        own_randomness(fabric.device),
        Batches(arrays, halves.weights, recipe.batch, augmentation, seed=seed, **given) as train,
        Batches(arrays, halves.relaxation, recipe.batch, augmentation, seed=seed + 1, **given) as val,
        saved.kept(as_weights=False) if saved else nullcontext(),
    ):
        return fit(
            lambda pair: step.step(*pair),
            _pairs(train, val, step),
            optimizer,
            budget=budget,
            schedule=Schedule.of(recipe),
            clip_norm=recipe.clip_norm,
            scaler=scaler_of(fabric),
            spent=spent,
            hooks=Hooks(
                before_step=before,
                after_step=after_step,
                checkpoint=saved.take if saved else None,
                checkpoint_seconds=checkpoint_seconds,
            ),
            log=lines,
            progress=progress,
            label=label,
            clock=clock,
        )


def _pairs(train: Batches, val: Batches, step: RelaxedStep) -> Iterator[tuple[Batch, Batch]]:
    for pair in zip(train, val, strict=False):
        if step.finished:
            return
        yield pair


def supergraph_facts(graph: OpGraph) -> dict[str, Any]:
    """What a checkpoint is known by of the supergraph."""
    return {"supergraph": fingerprint(graph)}
