"""How good a slice of a supernet is: its weights, BatchNorm measured anew, mIoU on held-out images."""

from __future__ import annotations

import numpy as np
import torch

from hwnas.compiler.network import Network
from hwnas.data.cache import Arrays
from hwnas.data.scoring import Score
from hwnas.ir.opgraph import OpGraph
from hwnas.supernet.resized import images_at, masks_at
from hwnas.supernet.shared import SharedWeights
from hwnas.training.batchnorm import recalibrate
from hwnas.training.device import channels_last
from hwnas.training.metrics import Meter


class SliceEvaluator:
    """Scores graphs with a supernet's weights at ``size_hw``, which may be smaller than the arrays.

    ``train_indices`` and ``held_indices`` are places in ``arrays``; BatchNorm statistics come from ``calibration`` of
    the former, evenly spaced, the score from all of the latter. Resized images are kept in memory: a candidate costs
    the network's passes over them and nothing else.
    """

    def __init__(
        self,
        shared: SharedWeights,
        arrays: Arrays,
        train_indices: np.ndarray,
        held_indices: np.ndarray,
        classes: int,
        *,
        size_hw: tuple[int, int] | None = None,
        calibration: int = 24,
        batch: int = 8,
    ) -> None:
        self.shared, self.classes = shared, classes
        self.size_hw: tuple[int, int] = size_hw or arrays.images.shape[1:3]
        spaced = np.linspace(0, len(train_indices) - 1, min(calibration, len(train_indices))).round().astype(int)
        self._calibration = [images_at(arrays, part, self.size_hw) for part in _parts(train_indices[spaced], batch)]
        self._held = [
            (images_at(arrays, part, self.size_hw), masks_at(arrays, part, self.size_hw))
            for part in _parts(np.asarray(held_indices), batch)
        ]

    @torch.inference_mode()
    def score(self, graph: OpGraph) -> Score:
        """The score of ``graph``, which must be expanded for images of ``size_hw``."""
        network = self.network(graph)
        meter = Meter(self.classes)
        for images, masks in self._held:
            meter.update(network(images).argmax(1), masks)
        return meter.score()

    def network(self, graph: OpGraph) -> Network:
        """``graph`` with the supernet's slices and statistics measured for them: the start of its own training."""
        network = channels_last(self.shared.materialize(graph))
        recalibrate(network, self._calibration)
        return network


def _parts(indices: np.ndarray, batch: int) -> list[np.ndarray]:
    return [indices[start : start + batch] for start in range(0, len(indices), batch)]
