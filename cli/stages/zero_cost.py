"""Zero-cost scores of decisions on a run's images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hwnas.search.evaluators.images import Images
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions, SearchSpace

if TYPE_CHECKING:
    from hwnas.search.evaluators.zero_cost import ZeroCost

BATCH = 8
"""Images that a score looks at, evenly spread over those that are trained on, whole."""


def scorer(score: ZeroCost, space: SearchSpace, images: Images, seed: int) -> Callable[[Decisions], float]:
    """``score`` as a function of decisions; the images and labels are of the training part of ``train``."""
    import torch

    from hwnas.data.preprocess import normalize
    from hwnas.search.evaluators.zero_cost import Probe
    from hwnas.training.losses import make_loss
    from hwnas.training.recipe import Recipe

    chosen = images.train[np.linspace(0, len(images.train) - 1, min(BATCH, len(images.train))).round().astype(int)]
    pictures = normalize(torch.from_numpy(np.ascontiguousarray(images.arrays.images[chosen])))
    masks = torch.from_numpy(np.ascontiguousarray(images.arrays.masks[chosen]))
    loss = make_loss(Recipe())

    def scored(decisions: Decisions) -> float:
        graph = expand(space.decode(decisions).genotype, (3, *images.size_hw), images.classes)
        return score(Probe(graph, pictures, masks, loss, seed))

    return scored
