"""How good paths are while their supernet trains: their loss on a few held-out images, by the weights as they are.

BatchNorm uses the statistics of those images, as it does in training: measuring better ones for each path would take
longer than judging it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from hwnas.data.cache import Arrays
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape
from hwnas.spaces.base import Decisions
from hwnas.supernet.resized import images_at, masks_at
from hwnas.supernet.shared import SharedWeights
from hwnas.training.losses import class_weights, make_loss
from hwnas.training.recipe import Recipe
from hwnas.training.sizes import logits_node

IMAGES = 8
"""A path is judged on so many: a batch. It costs a third of a gradient step."""


class HeldOutLoss:
    """The loss of ``recipe`` on ``images`` evenly spaced ones of those at ``held``, at ``size_hw``.

    Class weights are those of the images at ``train``, as in the training. A path that the weights do not cover has an
    infinite loss.
    """

    def __init__(
        self,
        shared: SharedWeights,
        graph_of: Callable[[Decisions, Shape], OpGraph],
        arrays: Arrays,
        train: np.ndarray,
        held: np.ndarray,
        classes: int,
        *,
        recipe: Recipe,
        size_hw: tuple[int, int],
        images: int = IMAGES,
    ) -> None:
        self._shared, self._graph_of = shared, graph_of
        self._shape: Shape = (3, *size_hw)
        chosen = np.asarray(held)[np.linspace(0, len(held) - 1, min(images, len(held))).round().astype(int)]
        self._images, self._masks = images_at(arrays, chosen, size_hw), masks_at(arrays, chosen, size_hw).long()
        self._loss_of = make_loss(recipe, class_weights(arrays.masks[train], classes, recipe.balance))

    @torch.inference_mode()
    def losses(self, paths: Sequence[Decisions]) -> list[float]:
        """One loss for each path; NaN is infinite."""
        return [self._loss(self._graph_of(path, self._shape)) for path in paths]

    def _loss(self, graph: OpGraph) -> float:
        if not self._shared.covers(graph):
            return math.inf
        logits: Tensor = self._shared.run(graph, self._images, output=logits_node(graph))
        loss = float(self._loss_of(logits, self._masks))
        return math.inf if math.isnan(loss) else loss
