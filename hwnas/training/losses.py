"""Losses of segmentation: logits (N, K, H, W) float and masks (N, H, W) integer, 255 ignored, to one number."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hwnas.data.base import IGNORE
from hwnas.training.recipe import Recipe

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(
    logits: Tensor, masks: Tensor, *, weight: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy over the pixels that count; 0 if none does (torch would give NaN)."""
    losses = F.cross_entropy(
        logits, masks, weight=weight, ignore_index=IGNORE, label_smoothing=label_smoothing, reduction="sum"
    )
    counted = masks != IGNORE
    total = counted.sum() if weight is None else weight[masks[counted]].sum()
    return losses / total.clamp_min(1e-6)


def ohem(
    logits: Tensor,
    masks: Tensor,
    *,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    confident: float = 0.7,
    kept: float = 1 / 16,
) -> Tensor:
    """Mean cross-entropy over hard pixels: those whose class has a probability under ``confident``.

    At least the hardest ``kept`` of the pixels that count are taken (OHEM as in BiSeNet, arXiv 1808.00897).
    """
    losses = F.cross_entropy(
        logits, masks, weight=weight, ignore_index=IGNORE, label_smoothing=label_smoothing, reduction="none"
    )[masks != IGNORE]
    if losses.numel() == 0:
        return logits.sum() * 0.0
    least = max(1, int(losses.numel() * kept))
    hard = losses[losses > -math.log(confident)]
    return hard.mean() if hard.numel() >= least else losses.topk(least).values.mean()


def class_weights(masks: np.ndarray, classes: int, how: str) -> Tensor | None:
    """Weights (K,) from the pixels of ``masks`` (N, H, W) uint8; None for ``"none"``.

    ``"median"``: median frequency balancing (arXiv 1511.00561), a class's frequency taken over the images that hold it;
    ``"enet"``: 1 / ln(1.02 + p) (arXiv 1606.02147). Scaled to a mean of 1; a class that never occurs gets 1.
    """
    if how == "none":
        return None
    pixels, held = np.zeros(classes), np.zeros(classes)
    for mask in masks:
        counts = np.bincount(mask.ravel(), minlength=256)[:classes]
        pixels += counts
        held += np.where(counts > 0, counts.sum(), 0)
    weights = np.ones(classes)
    seen = pixels > 0
    if how == "median":
        frequency = pixels[seen] / held[seen]
        weights[seen] = np.median(frequency) / frequency
    elif how == "enet":
        weights[seen] = 1.0 / np.log(1.02 + pixels[seen] / pixels.sum())
    else:
        raise AssertionError(how)  # Recipe checks it
    if seen.any():
        weights[seen] /= weights[seen].mean()
    return torch.tensor(weights, dtype=torch.float32)


def make_loss(recipe: Recipe, weight: Tensor | None = None) -> Loss:
    """The recipe's loss of logits of any size against full-size masks.

    With ``loss_stride`` s it looks at every s-th row and column of the mask. Logits of another size are resized
    bilinearly to fit; leaving the upsampling to the loss saves most of its cost.
    """
    stride = recipe.loss_stride
    function = ohem if recipe.loss == "ohem" else cross_entropy

    def loss(logits: Tensor, masks: Tensor) -> Tensor:
        targets = masks[:, stride // 2 :: stride, stride // 2 :: stride].long()
        logits = logits.float()
        if logits.shape[2:] != targets.shape[1:]:
            logits = F.interpolate(logits, size=targets.shape[1:], mode="bilinear", align_corners=False)
        return function(logits, targets, weight=weight, label_smoothing=recipe.label_smoothing)

    return loss
