"""Knowledge distillation: a network learns to give its teacher's logits, beside the labels (arXiv 1503.02531)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hwnas.compiler.network import Network
from hwnas.data.base import IGNORE
from hwnas.errors import HwnasError
from hwnas.training.losses import fitted, strided
from hwnas.training.recipe import Recipe
from hwnas.training.sizes import GraphAt, at_shape

Logits = Callable[[Tensor], Tensor]
"""From images (N, 3, H, W), normalised, to logits (N, K, h, w) of any size, without a gradient."""


class Teacher(Protocol):
    """Whatever gives logits. ``identity`` is a text by which its weights are told from others."""

    @property
    def classes(self) -> int: ...

    @property
    def identity(self) -> str: ...

    def at(self, size_hw: tuple[int, int]) -> Logits:
        """What gives the logits of images of that size; HwnasError if the teacher takes no such images."""


class NetworkTeacher:
    """A trained network of our own; it takes images of every size that its architecture can be expanded for."""

    def __init__(self, network: Network, graph_at: GraphAt, classes: int, identity: str) -> None:
        self._network, self._graph_at = network.eval().requires_grad_(False), graph_at
        self.classes, self.identity = classes, identity

    def at(self, size_hw: tuple[int, int]) -> Logits:
        resized = at_shape(self._network, self._graph_at, (3, *size_hw)).eval()

        def logits(images: Tensor) -> Tensor:
            with torch.no_grad():
                given: Tensor = resized.to(images.device)(images)
            return given

        return logits


@dataclass(frozen=True)
class Distillation:
    """How far a student is from its teacher, at the pixels that the recipe's loss looks at, times the weight."""

    logits: Logits
    weight: float
    temperature: float
    stride: int

    @classmethod
    def of(cls, teacher: Teacher, recipe: Recipe, size_hw: tuple[int, int]) -> Distillation:
        """Of images of that size."""
        return cls(teacher.at(size_hw), recipe.distillation, recipe.temperature, recipe.loss_stride)

    def __call__(self, images: Tensor, student: Tensor, masks: Tensor) -> Tensor:
        """Of the student's logits (N, K, h, w) on ``images``; pixels whose mask is 255 do not count."""
        targets = strided(masks, self.stride)
        wanted = fitted(self.logits(images), targets)
        return self.weight * divergence(fitted(student, targets), wanted, targets, self.temperature)


def divergence(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(student / T)), the mean over the pixels that count; 0 if none does.

    Logits (N, K, h, w), targets (N, h, w). T² keeps the gradient's size whatever the temperature.
    """
    logs = F.log_softmax(student / temperature, dim=1)
    wanted = F.log_softmax(teacher / temperature, dim=1)
    each = F.kl_div(logs, wanted, reduction="none", log_target=True).sum(1)
    counted = targets != IGNORE
    return temperature**2 * (each * counted).sum() / counted.sum().clamp_min(1)


def check_teacher(teacher: Teacher, classes: int) -> None:
    """Refuse a teacher of other classes."""
    if teacher.classes != classes:
        raise HwnasError(
            f"the teacher knows {teacher.classes} classes, and the data has {classes}",
            "distil from a network that was trained on the same classes",
        )
