"""Losses of overlap, which look at a class's pixels together: Lovász-softmax and soft Dice.

Logits (N, K, H, W) float and targets (N, H, W) integer, 255 ignored, to one number: the mean over the classes that
the batch's targets hold, each over all of the batch's pixels; 0 where no pixel counts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hwnas.data.base import IGNORE


def lovasz(logits: Tensor, targets: Tensor) -> Tensor:
    """Lovász-softmax: the Lovász extension of 1 - IoU at the errors |true - probability| (arXiv 1705.08790)."""
    probabilities, truth = _counted(logits, targets)
    if not len(truth):
        return logits.sum() * 0.0
    errors, order = (truth - probabilities).abs().sort(dim=1, descending=True)
    return (errors * jaccard_steps(truth.gather(1, order))).sum(1).mean()


def jaccard_steps(truth: Tensor) -> Tensor:
    """By how much 1 - IoU rises as pixels turn wrong one by one: (K, P), the truth 0 or 1 in that order, to (K, P)."""
    size = truth.sum(1, keepdim=True)
    missed = truth.cumsum(1)
    added = (1 - truth).cumsum(1)
    lost = 1 - (size - missed) / (size + added)
    return torch.diff(lost, dim=1, prepend=torch.zeros_like(size))


def dice(logits: Tensor, targets: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Soft Dice: 1 - (2 Σ t·p + smooth) / (Σ t + Σ p + smooth), with truth t and probability p of each pixel."""
    probabilities, truth = _counted(logits, targets)
    if not len(truth):
        return logits.sum() * 0.0
    common = (probabilities * truth).sum(1)
    return (1 - (2 * common + smooth) / (probabilities.sum(1) + truth.sum(1) + smooth)).mean()


def _counted(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and truth (0 or 1), each (classes that occur, pixels that count)."""
    counted = targets != IGNORE
    labels = targets[counted]
    present = torch.unique(labels)
    probabilities = F.softmax(logits, dim=1).movedim(1, 0)[present][:, counted]
    return probabilities, (labels == present[:, None]).to(probabilities.dtype)
