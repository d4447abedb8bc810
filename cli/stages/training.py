"""Training one network on a run's images."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.cli.stages.data import TrainingData
from hwnas.clock import Clock
from hwnas.compiler.weights import load_weights
from hwnas.exporters.fold import folding_parity
from hwnas.ir.genotype import Genotype
from hwnas.skeletons.base import expand
from hwnas.training.checkpoint import TEXT
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from hwnas.training.train import Trained, train_network

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.compiler.network import Network
    from hwnas.progress import Progress
    from hwnas.training.distill import Teacher
    from hwnas.training.group import Group
    from hwnas.training.logs import Log

logger = logging.getLogger(__name__)

REPORT, CHECKPOINT = "train.json", "train.checkpoint.safetensors"
"""In a run directory: what a finished training did, and the state of one that is not."""

RECIPE = Recipe(full_size=0.1, balance="enet")
"""Crops for nine tenths of the time, then whole images, as the engine will see them; rare classes weigh more."""


def train_genotype(
    genotype: Genotype,
    data: TrainingData,
    *,
    budget: Budget,
    until: float = 1.0,
    indices: np.ndarray,
    initial: Mapping[str, Tensor] | None = None,
    begun: Path | None = None,
    recipe: Recipe = RECIPE,
    teacher: Teacher | None = None,
    seed: int,
    threads: int | None,
    device: str = "cpu",
    repeatable: bool = False,
    group: Group | None = None,
    checkpoint: Path | None = None,
    log: Path | Log | None,
    progress: Progress,
    label: str = "train the network",
    clock: Clock = time.monotonic,
) -> Trained:
    """Train ``genotype`` on the images at ``indices``; ``initial`` is what it inherits from a supernet.

    The rest is :func:`hwnas.training.train.train_network`'s.
    """
    return train_network(
        lambda shape: expand(genotype, shape, data.classes),
        data.arrays,
        indices,
        data.classes,
        recipe=recipe,
        budget=budget,
        until=until,
        initial=initial,
        begun=begun,
        teacher=teacher,
        seed=seed,
        threads=threads,
        device=device,
        repeatable=repeatable,
        group=group,
        checkpoint=checkpoint,
        log=log,
        progress=progress,
        label=label,
        clock=clock,
    )


def begun_by(path: Path) -> dict[str, Any]:
    """What :func:`train_genotype` is given to go on from a file: the state of a training that was begun, or weights."""
    tensors, metadata = load_weights(path)
    return {"begun": path} if TEXT in metadata else {"initial": tensors}


def training_report(trained: Trained, data: TrainingData) -> dict[str, Any]:
    """JSON of what a training did and of how its network folds; the network is moved to the CPU."""
    spent = trained.fitted.spent
    return {
        "steps": spent.steps,
        "seconds": round(spent.seconds, 1),
        "loss": trained.fitted.last_loss,
        "folding": _fold_check(trained.network.cpu(), data),
    }


def _fold_check(network: Network, data: TrainingData) -> dict[str, Any]:
    """How nearly the trained network agrees with itself once its BatchNorms are folded into its convolutions, as they
    are in an engine: on four images of ``train``. A warning where it does not."""
    images = np.ascontiguousarray(data.arrays.images[data.held[:4]])
    parity = folding_parity(network, images)
    if not parity.ok:
        logger.warning(
            "the network changes where its BatchNorms are folded, as in an engine: %s", parity.differences[0]
        )
    return {
        "max_relative": parity.max_relative,
        "equal_labels": parity.equal_labels,
        "images": parity.images,
        "agrees": parity.ok,
    }
