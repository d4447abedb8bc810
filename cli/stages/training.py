"""Training one network on a run's images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.cli.stages.data import TrainingData
from hwnas.ir.genotype import Genotype
from hwnas.skeletons.base import expand
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from hwnas.training.train import Trained, train_network

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.progress import Progress

RECIPE = Recipe(full_size=0.1, balance="enet")
"""Crops for nine tenths of the time, then whole images, as the engine will see them; rare classes weigh more."""


def train_genotype(
    genotype: Genotype,
    data: TrainingData,
    *,
    budget: Budget,
    indices: np.ndarray,
    initial: Mapping[str, Tensor] | None = None,
    recipe: Recipe = RECIPE,
    seed: int,
    threads: int | None,
    log: Path | None,
    progress: Progress,
    label: str = "train the network",
) -> Trained:
    """Train ``genotype`` on the images at ``indices``; ``initial`` is what it inherits from a supernet."""
    return train_network(
        lambda shape: expand(genotype, shape, data.classes),
        data.arrays,
        indices,
        data.classes,
        recipe=recipe,
        budget=budget,
        initial=initial,
        seed=seed,
        threads=threads,
        log=log,
        progress=progress,
        label=label,
    )
