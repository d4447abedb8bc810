"""Losses of segmentation: logits (N, K, H, W) float and masks (N, H, W) integer, 255 ignored, to one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hwnas.data.base import IGNORE
from hwnas.errors import HwnasError
from hwnas.training.overlap import dice, lovasz
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
    """Mean cross-entropy over hard pixels: those whose class has a probability under ``confident``; weighted as
    :func:`cross_entropy` is.

    At least the hardest ``kept`` of the pixels that count are taken (OHEM as in BiSeNet, arXiv 1808.00897).
    """
    counted = masks != IGNORE
    losses = F.cross_entropy(
        logits, masks, weight=weight, ignore_index=IGNORE, label_smoothing=label_smoothing, reduction="none"
    )[counted]
    if losses.numel() == 0:
        return logits.sum() * 0.0
    # weights and smoothing change the loss of a pixel, not how probable its class is
    surprise = losses.detach()
    if weight is not None or label_smoothing > 0:
        surprise = F.cross_entropy(logits.detach(), masks, ignore_index=IGNORE, reduction="none")[counted]
    least = max(1, int(losses.numel() * kept))
    hard = surprise > -math.log(max(confident, 1e-12))
    chosen = hard.nonzero().squeeze(1) if int(hard.sum()) >= least else surprise.topk(least).indices
    total = len(chosen) if weight is None else weight[masks[counted][chosen]].sum().clamp_min(1e-6)
    return losses[chosen].sum() / total


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
    parts = [_PARTS[name](recipe, weight) for name in recipe.losses]

    def loss(logits: Tensor, masks: Tensor) -> Tensor:
        targets = strided(masks, recipe.loss_stride)
        logits = fitted(logits, targets)
        return torch.stack([part(logits, targets) for part in parts]).sum() if parts[1:] else parts[0](logits, targets)

    return loss


def loss_for(recipe: Recipe, masks: np.ndarray, classes: int, device: torch.device) -> Loss:
    """The recipe's loss, with class weights from the pixels of ``masks`` (N, H, W) uint8, on ``device``."""
    weight = class_weights(masks, classes, recipe.balance)
    return make_loss(recipe, None if weight is None else weight.to(device))


def check_stride(recipe: Recipe, size_hw: tuple[int, int]) -> None:
    """HwnasError if the recipe's loss looks at no pixel of images of that size."""
    if recipe.loss_stride // 2 >= min(size_hw):
        height, width = size_hw
        raise HwnasError(
            f"recipe: loss_stride {recipe.loss_stride} looks at no pixel of images of {height}x{width}",
            "lower loss_stride, or raise crop",
        )


def strided(masks: Tensor, stride: int) -> Tensor:
    """The rows and columns (N, h, w) int64 of masks (N, H, W) that a loss looks at."""
    return masks[:, stride // 2 :: stride, stride // 2 :: stride].long()


def fitted(logits: Tensor, targets: Tensor) -> Tensor:
    """``logits`` in float32, resized bilinearly to the height and width of ``targets``."""
    logits = logits.float()
    if logits.shape[2:] == targets.shape[1:]:
        return logits
    return F.interpolate(logits, size=targets.shape[1:], mode="bilinear", align_corners=False)


def _cross_entropy_of(recipe: Recipe, weight: Tensor | None) -> Loss:
    return partial(cross_entropy, weight=weight, label_smoothing=recipe.label_smoothing)


def _ohem_of(recipe: Recipe, weight: Tensor | None) -> Loss:
    return partial(
        ohem,
        weight=weight,
        label_smoothing=recipe.label_smoothing,
        confident=recipe.ohem_threshold,
        kept=recipe.ohem_kept,
    )


_PARTS: dict[str, Callable[[Recipe, Tensor | None], Loss]] = {
    "ce": _cross_entropy_of,
    "ohem": _ohem_of,
    "lovasz": lambda recipe, weight: lovasz,
    "dice": lambda recipe, weight: dice,
}
"""The summands of a recipe's loss."""
