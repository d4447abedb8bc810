"""Training a supernet's shared weights, one sampled path a step."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from hwnas.clock import Clock
from hwnas.data.batches import Batches
from hwnas.data.cache import Arrays
from hwnas.errors import HwnasError
from hwnas.ir.opgraph import OpGraph
from hwnas.progress import Progress
from hwnas.shapes import Shape
from hwnas.spaces.base import Decisions
from hwnas.supernet.prices import Price
from hwnas.supernet.samplers.base import PathSampler
from hwnas.supernet.shared import SharedWeights
from hwnas.training.checkpoint import Checkpoint, Part, part_of_optimizer, weights_in
from hwnas.training.device import make_fabric, scaler_of
from hwnas.training.distill import Distillation, Teacher, check_teacher
from hwnas.training.identity import identity_of
from hwnas.training.logs import Log
from hwnas.training.loop import Fitted, Hooks, fit
from hwnas.training.losses import loss_for
from hwnas.training.optimizer import make_optimizer
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget, Schedule, Spent
from hwnas.training.sizes import augmentation_of, crop_of, logits_node

if TYPE_CHECKING:
    from lightning.fabric import Fabric

logger = logging.getLogger(__name__)

GraphOf = Callable[[Decisions, Shape], OpGraph]
"""The op graph of decisions at an input shape (C, H, W)."""

SUPERNET_RECIPE = Recipe(scale=(0.4, 1.0), balance="enet")
"""Crops of half the data's height and width, mostly of images shrunk to about half."""


WEIGHTS = "weights"
"""The part of a checkpoint that holds the shared tensors."""


@dataclass(frozen=True)
class SupernetTraining:
    """What a supernet's training did. ``mean_path_ms`` is the mean predicted latency of the paths of this run."""

    fitted: Fitted
    mean_path_ms: float
    paths: int

    @property
    def steps(self) -> int:
        return self.fitted.spent.steps


@dataclass
class _Tally:
    """Running totals; saved with a checkpoint."""

    paths: int = 0
    price_ms: float = 0.0


def train_supernet(
    shared: SharedWeights,
    sampler: PathSampler,
    graph_of: GraphOf,
    arrays: Arrays,
    indices: np.ndarray,
    classes: int,
    *,
    budget: Budget,
    price: Price,
    recipe: Recipe = SUPERNET_RECIPE,
    teacher: Teacher | None = None,
    paths_per_step: int = 1,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 30.0,
    log: Path | None = None,
    progress: Progress | None = None,
    clock: Clock = time.monotonic,
) -> SupernetTraining:
    """Train ``shared`` in place on the images at ``indices`` until the budget is spent or the sampler has settled.

    Each step draws ``paths_per_step`` paths and gives each a batch of its own; their gradients are averaged. With a
    ``teacher``, its logits are learned beside the labels. With a
    ``checkpoint`` (a .safetensors file, written every half minute and at the end) a killed training goes on from there,
    on the same budget, as if it had not been killed; :func:`load_shared` reads its weights. RunError if the file is of
    another space, seed, recipe or other data.
    """
    fabric = make_fabric(recipe, device=device, threads=threads)
    shared.to(fabric.device)
    rng = np.random.default_rng([seed, 1])
    tally, lines = _Tally(), Log(log)
    optimizer = make_optimizer(shared.parameters(), recipe)
    saved = None
    if checkpoint is not None:
        facts = {**_facts(shared, classes, paths_per_step), "teacher": "" if teacher is None else teacher.identity}
        identity = identity_of(facts, arrays, indices, recipe=recipe, seed=seed)
        saved = Checkpoint(checkpoint, identity, _parts(shared, optimizer, sampler, rng, tally), lines)
        saved.restore()
    spent = saved.spent if saved else Spent()
    loss_of = loss_for(recipe, arrays.masks[indices], classes, fabric.device)
    crop_hw = crop_of(recipe, arrays.size_hw)
    if teacher is not None:
        check_teacher(teacher, classes)
    distillation = None if teacher is None else Distillation.of(teacher, recipe, crop_hw)
    augmentation, start = augmentation_of(recipe, crop_hw), spent.steps * paths_per_step
    with Batches(arrays, indices, recipe.batch, augmentation, seed=seed, start=start, ahead=2) as batches:
        step = _PathStep(
            shared, sampler, graph_of, price, loss_of, distillation, fabric, (3, *crop_hw), paths_per_step, rng, tally
        )
        fitted = fit(
            lambda first: step(first, batches),
            _until_settled(batches, sampler),
            optimizer,
            budget=budget,
            schedule=Schedule.of(recipe),
            clip_norm=recipe.clip_norm,
            scaler=scaler_of(fabric),
            spent=spent,
            hooks=Hooks(
                before_step=lambda _, fraction: sampler.advance(fraction),
                checkpoint=saved.take if saved else None,
                checkpoint_seconds=checkpoint_seconds,
            ),
            log=lines,
            progress=progress,
            label="train the supernet",
            clock=clock,
        )
    return SupernetTraining(fitted, tally.price_ms / max(1, tally.paths), tally.paths)


def load_shared(shared: SharedWeights, checkpoint: Path) -> None:
    """Put the weights that :func:`train_supernet` left in ``checkpoint`` into ``shared``."""
    shared.load_state_dict(weights_in(checkpoint, WEIGHTS))


def _until_settled(batches: Batches, sampler: PathSampler) -> Iterator[tuple[Tensor, Tensor]]:
    while not sampler.settled:
        yield next(batches)


@dataclass
class _PathStep:
    """The gradients of one step: those of ``count`` sampled paths, each on a batch of its own, averaged."""

    shared: SharedWeights
    sampler: PathSampler
    graph_of: GraphOf
    price: Price
    loss_of: Callable[[Tensor, Tensor], Tensor]
    distillation: Distillation | None
    fabric: Fabric
    shape: Shape
    count: int
    rng: np.random.Generator
    tally: _Tally

    def __call__(self, first: tuple[Tensor, Tensor], others: Iterator[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Take ``first`` for the first path and one of ``others`` for each further one; what is logged."""
        chosen = [self._runnable() for _ in range(self.count)]
        losses = []
        for number, (decisions, graph) in enumerate(chosen):
            images, masks = self.fabric.to_device(first if number == 0 else next(others))
            with self.fabric.autocast():
                images = images.contiguous(memory_format=torch.channels_last)
                logits = self.shared.run(graph, images, output=logits_node(graph))
                loss = self.loss_of(logits, masks)
                if self.distillation is not None:
                    loss = loss + self.distillation(images, logits, masks)
            self.fabric.backward(loss / self.count)
            losses.append(loss.item())
            self.tally.price_ms += self.price(decisions)
        self.tally.paths += self.count
        self.sampler.feedback([decisions for decisions, _ in chosen], losses)
        return {"loss": float(np.mean(losses))}

    def _runnable(self) -> tuple[Decisions, OpGraph]:
        """The next path that fits the shared weights; all do, unless their extents were found from too little."""
        for _ in range(20):
            decisions = self.sampler.paths(1, self.rng)[0]
            graph = self.graph_of(decisions, self.shape)
            if self.shared.covers(graph):
                return decisions, graph
            logger.warning("a sampled path needs larger weights than the supernet has, and is left out")
        raise HwnasError("twenty sampled paths in a row do not fit the supernet's weights", "it is of another space")


def _parts(
    shared: SharedWeights, optimizer: Optimizer, sampler: PathSampler, rng: np.random.Generator, tally: _Tally
) -> dict[str, Part]:
    def recall_rng(state: Any) -> None:
        rng.bit_generator.state = state

    def recall_tally(facts: Any) -> None:
        tally.paths, tally.price_ms = int(facts["paths"]), float(facts["price_ms"])

    return {
        WEIGHTS: Part(shared.state_dict, shared.load_state_dict),
        "optimizer": part_of_optimizer(optimizer),
        "sampler": Part(facts=sampler.state, recall=sampler.restore),
        "rng": Part(facts=lambda: rng.bit_generator.state, recall=recall_rng),
        "tally": Part(facts=lambda: asdict(tally), recall=recall_tally),
    }


def _facts(shared: SharedWeights, classes: int, paths_per_step: int) -> dict[str, Any]:
    shapes = sorted((key, list(extent.shape)) for key, extent in shared.extents.items())
    digest = hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:16]
    return {"supernet": digest, "classes": classes, "paths_per_step": paths_per_step}
