"""One step of a network's training: the gradients of the loss of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from hwnas.training.distill import Distillation
from hwnas.training.losses import Loss


@dataclass(frozen=True)
class NetworkStep:
    """The loss of ``network`` against the masks, of its auxiliary outputs, and of its distance from a teacher."""

    fabric: Fabric
    network: nn.Module
    loss_of: Loss
    auxiliary_weight: float
    distillation: Distillation | None = None

    def __call__(self, batch: tuple[Tensor, Tensor]) -> dict[str, float]:
        """Add up the gradients of images (N, 3, H, W) and masks (N, H, W); what is logged, ``loss`` the whole."""
        images, masks = self.fabric.to_device(batch)
        images = images.contiguous(memory_format=torch.channels_last)
        figures = {}
        with self.fabric.autocast():
            outputs = self.network(images)
            logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
            loss = self.loss_of(logits, masks)
            for hint in auxiliary:
                loss = loss + self.auxiliary_weight * self.loss_of(hint, masks)
            if self.distillation is not None:
                distance = self.distillation(images, logits, masks)
                figures["distillation"] = distance.item()
                loss = loss + distance
        self.fabric.backward(loss)
        return {"loss": loss.item(), **figures}
