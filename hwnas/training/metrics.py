"""How good a segmentation is: mean intersection over union from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from hwnas.data.base import IGNORE
from hwnas.data.cache import Arrays
from hwnas.data.preprocess import normalize
from hwnas.data.scoring import Score, score_of


class Meter:
    """Gathers predictions; pixels whose mask is 255 do not count."""

    def __init__(self, classes: int) -> None:
        self._matrix = MulticlassConfusionMatrix(classes, ignore_index=IGNORE, validate_args=False)

    def update(self, predicted: Tensor | np.ndarray, masks: Tensor | np.ndarray) -> None:
        """Labels (N, H, W) and masks of the same shape, any integer type."""
        self._matrix.update(torch.as_tensor(predicted).cpu().long(), torch.as_tensor(masks).cpu().long())

    def score(self) -> Score:
        return score_of(self._matrix.compute().numpy())


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    arrays: Arrays,
    classes: int,
    *,
    indices: Sequence[int] | np.ndarray | None = None,
    batch: int = 8,
) -> Score:
    """The score of ``network`` (compiled for the arrays' size) on the images at ``indices``, or on all.

    The network is put into evaluation mode and left there.
    """
    network.eval()
    device = next(network.parameters()).device
    chosen = np.arange(len(arrays.images)) if indices is None else np.asarray(indices)
    meter = Meter(classes)
    for start in range(0, len(chosen), batch):
        part = chosen[start : start + batch]
        logits = network(normalize(torch.from_numpy(np.ascontiguousarray(arrays.images[part])).to(device)))
        meter.update(logits.argmax(1), np.ascontiguousarray(arrays.masks[part]))
    return meter.score()
