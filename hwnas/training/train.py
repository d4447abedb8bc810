"""Training one network: on crops, perhaps on whole images last; BatchNorm statistics at full size in the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from hwnas.clock import Clock
from hwnas.compiler.network import Network, compile_graph
from hwnas.compiler.weights import apply_weights
from hwnas.data.batches import Batches
from hwnas.data.cache import Arrays
from hwnas.data.preprocess import normalize
from hwnas.errors import HwnasError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.opgraph import OpGraph
from hwnas.progress import Progress
from hwnas.skeletons.base import task_of
from hwnas.training.average import moving_average
from hwnas.training.batchnorm import recalibrate
from hwnas.training.checkpoint import Checkpoint, part_of_module, part_of_optimizer, part_of_scaler
from hwnas.training.device import (
    channels_last,
    deterministic,
    make_fabric,
    own_randomness,
    scaler_of,
    seed_step,
)
from hwnas.training.distill import Distillation, Teacher
from hwnas.training.drop_path import DropPath
from hwnas.training.feasible import check_training
from hwnas.training.group import Group
from hwnas.training.identity import identity_of, tensors_digest
from hwnas.training.logs import Log
from hwnas.training.loop import Fitted, Hooks, fit
from hwnas.training.losses import Loss, loss_for
from hwnas.training.optimizer import make_optimizer
from hwnas.training.parallel import Parallel
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget, Schedule, Spent
from hwnas.training.sizes import GraphAt, at_shape, augmentation_of, phases
from hwnas.training.step import NetworkStep

NETWORK = "network"
"""The part of a checkpoint that holds the weights."""

STATISTICS = 64
"""Images that BatchNorm statistics are measured on; a quarter of them for a training that is not at its end."""


@dataclass(frozen=True)
class Trained:
    """A trained network, compiled for the arrays' full size and in evaluation mode, and what its training did."""

    network: Network
    fitted: Fitted


def train_network(
    graph_at: GraphAt,
    arrays: Arrays,
    indices: np.ndarray,
    classes: int,
    *,
    recipe: Recipe,
    budget: Budget,
    until: float = 1.0,
    spent: Spent | None = None,
    initial: Mapping[str, Tensor] | None = None,
    begun: Path | None = None,
    teacher: Teacher | None = None,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    repeatable: bool = False,
    group: Group | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 30.0,
    log: Path | Log | None = None,
    progress: Progress | None = None,
    label: str = "train the network",
    clock: Clock = time.monotonic,
) -> Trained:
    """Train ``graph_at``'s architecture on the images at ``indices`` until the budget is spent.

    ``initial`` is a ``state_dict`` to start from (a supernet's slices); else weights are drawn from ``seed``. In the
    last ``recipe.full_size`` of the budget whole images are seen. BatchNorm statistics are measured at full size, on
    training images, when all is done. With a ``teacher``, its logits are learned beside the labels.

    With a ``checkpoint`` (a .safetensors file, written at the start, every ``checkpoint_seconds`` and at the end), a
    training that was killed goes on from there; where the budget is one of steps, on a CPU, to the same bits as if it
    had not been killed. RunError if the file is of another training. ``repeatable`` allows only such algorithms as give
    the same bits every time, and budgets that do not depend on the clock.

    ``until`` ends this call at that fraction of the budget, the learning rate where it is then; a later call with the
    same checkpoint goes on. ``begun`` is the checkpoint of such a beginning that was trained on other images: where
    there is no ``checkpoint`` yet, the training goes on from that one, and what it spent counts. ``spent`` says what of
    the budget was used for ``initial``, where no more than weights was kept: all that follows the budget is where it is
    after that, but the optimizer's moments begin anew.

    In a ``group`` every process calls this with the same arguments and trains on its own batches (parallel.py); only
    the first one writes, reports and measures the statistics in the end. ``clock`` counts the budget's seconds.

    Raises DivergedError if the loss stops being finite, HwnasError for a network that does not segment.
    """
    assert begun is None or checkpoint is not None, "a training that goes on from another has a checkpoint of its own"
    check_training(
        recipe, arrays.size_hw, classes, budget=budget, device=device, repeatable=repeatable, teacher=teacher
    )
    fabric = make_fabric(recipe, device=device, threads=threads, group=group)
    parallel = Parallel(fabric, clock)
    network = _first(graph_at, arrays, classes, initial, seed, fabric)
    loss_of = loss_for(recipe, arrays.masks[indices], classes, fabric.device)
    if not parallel.leads:
        log, progress = Log(), None
    log = log if isinstance(log, Log) else Log(log)
    training = _Training(
        fabric,
        parallel,
        network,
        graph_at,
        arrays,
        indices,
        recipe,
        budget,
        spent or Spent(),
        loss_of,
        teacher,
        seed,
        log,
        progress,
        label,
    )
    with ExitStack() as stack:
        stack.callback(log.close)
        stack.enter_context(own_randomness(fabric.device))
        if repeatable:
            stack.enter_context(deterministic(device))
        if checkpoint is not None:
            facts = training.facts(classes, initial, [device, torch.get_num_threads()] if repeatable else [])
            stack.enter_context(training.keep(checkpoint, facts, checkpoint_seconds, begun))
        fitted = training.run(until)
        if parallel.leads:
            count = STATISTICS if until >= 1 else STATISTICS // 4
            recalibrate(network, _full_images(arrays, indices, fabric, count))
    return Trained(network, fitted)


@dataclass
class _Training:
    """The state of a network's training, and its way through the phases."""

    fabric: Fabric
    parallel: Parallel
    network: Network
    graph_at: GraphAt
    arrays: Arrays
    indices: np.ndarray
    recipe: Recipe
    budget: Budget
    spent: Spent
    loss_of: Loss
    teacher: Teacher | None
    seed: int
    log: Log
    progress: Progress | None
    label: str

    def __post_init__(self) -> None:
        self.optimizer = make_optimizer(self.network.parameters(), self.recipe)
        self.scaler = scaler_of(self.fabric)
        self.average = moving_average(self.network, self.recipe.ema) if self.recipe.ema else None
        self.hooks = Hooks(after_step=self._after_step if self.average is not None else None)

    def facts(self, classes: int, initial: Mapping[str, Tensor] | None, repeatable: list[Any]) -> dict[str, Any]:
        """What a checkpoint of this training is of."""
        what = {
            "network": fingerprint(self.network.graph),
            "classes": classes,
            "budget": asdict(self.budget),
            "initial": tensors_digest(initial),
            "teacher": "" if self.teacher is None else self.teacher.identity,
            "repeatable": repeatable,
            "devices": self.fabric.world_size,
        }
        return identity_of(what, self.arrays, self.indices, recipe=self.recipe, seed=self.seed)

    def keep(
        self, path: Path, identity: Mapping[str, Any], seconds: float, begun: Path | None
    ) -> AbstractContextManager[None]:
        """Keep the state in ``path``, every so many seconds, and go on from what is there, or else in ``begun``."""
        parts = {NETWORK: part_of_module(self.network), "optimizer": part_of_optimizer(self.optimizer)}
        if self.average is not None:
            parts["average"] = part_of_module(self.average)
        if self.scaler is not None:
            parts["scaler"] = part_of_scaler(self.scaler)
        saved = Checkpoint(path, identity, parts, self.log, self.spent)
        if not saved.restore():
            if begun is not None:
                saved.begin_from(begun)
            if self.parallel.leads:
                self.log.rewind(0)
                saved.save(saved.spent)
        self.spent = saved.spent
        if self.parallel.leads:
            self.hooks = replace(self.hooks, checkpoint=saved.take, checkpoint_seconds=seconds)
        return saved.kept()

    def run(self, until: float) -> Fitted:
        """Spend the budget up to that fraction of it; the network then has the weights that the recipe keeps."""
        for crop_hw, end in phases(self.recipe, self.arrays.size_hw):
            if self.budget.fraction(self.spent) < min(end, until):
                self.spent = self._phase(crop_hw, min(end, until)).spent
        if self.average is not None:
            _copy_parameters(self.average.module, self.network)
        return Fitted(self.spent, tuple(self.log.losses))

    def _phase(self, crop_hw: tuple[int, int], until: float) -> Fitted:
        """Train on images of one size, until that fraction of the budget."""
        recipe = self.recipe
        resized = at_shape(self.network, self.graph_at, (3, *crop_hw)).train()
        drop_path = DropPath(resized) if recipe.drop_path else None
        distillation = Distillation.of(self.teacher, recipe, crop_hw) if self.teacher is not None else None
        wrapped = self.parallel.module(resized)
        step = NetworkStep(self.fabric, wrapped, self.loss_of, recipe.auxiliary_weight, distillation)
        place, _ = share = self.parallel.share

        def before_step(spent: Spent, fraction: float) -> None:
            seed_step(self.seed + place, spent.steps, self.fabric.device)
            if drop_path is not None:
                drop_path.probability = recipe.drop_path * fraction

        augmentation = augmentation_of(recipe, crop_hw)
        with Batches(
            self.arrays,
            self.indices,
            recipe.batch,
            augmentation,
            seed=self.seed,
            start=self.spent.steps,
            ahead=2,
            share=share,
        ) as batches:
            return fit(
                self.parallel.shared(step),
                batches,
                self.optimizer,
                budget=self.budget,
                until=until,
                schedule=Schedule.of(recipe),
                clip_norm=recipe.clip_norm,
                scaler=self.scaler,
                spent=self.spent,
                hooks=replace(self.hooks, before_step=before_step),
                log=self.log,
                progress=self.progress,
                label=self.label,
                clock=self.parallel.clock,
            )

    def _after_step(self, spent: Spent) -> None:
        assert self.average is not None
        self.average.update_parameters(self.network)


def _first(
    graph_at: GraphAt,
    arrays: Arrays,
    classes: int,
    initial: Mapping[str, Tensor] | None,
    seed: int,
    fabric: Fabric,
) -> Network:
    """The network before its training, on the device."""
    graph = graph_at((3, *arrays.size_hw))
    _check_outputs(graph, classes)
    network = compile_graph(graph, seed=seed)
    if initial is not None:
        apply_weights(network, initial)
    return channels_last(network.to(fabric.device))


def _check_outputs(graph: OpGraph, classes: int) -> None:
    """Refuse a network whose outputs are not all logits of the classes at places of the image."""
    if task_of(graph) != "segmentation":
        raise HwnasError(
            "a network that classifies whole images cannot be trained on segmentation data",
            "put its cells into a skeleton that segments, such as cell-segmentation",
        )
    for name in graph.auxiliary:
        channels, height, _ = graph.shape(name)
        if channels != classes or height == 1:
            raise HwnasError(
                f"the auxiliary output {name!r} gives {channels} channel(s), not logits of {classes} classes",
                "what it is to learn is not known here: train without --auxiliary",
            )


def _copy_parameters(source: nn.Module, target: nn.Module) -> None:
    with torch.no_grad():
        for ours, theirs in zip(target.parameters(), source.parameters(), strict=True):
            ours.copy_(theirs)


def _full_images(arrays: Arrays, indices: np.ndarray, fabric: Fabric, count: int, batch: int = 8) -> list[Tensor]:
    """Evenly spaced training images as they are at inference: whole and not augmented."""
    chosen = indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)]
    parts = [chosen[start : start + batch] for start in range(0, len(chosen), batch)]
    return [normalize(torch.from_numpy(np.ascontiguousarray(arrays.images[part])).to(fabric.device)) for part in parts]
