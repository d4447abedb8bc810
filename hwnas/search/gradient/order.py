"""What a gradient method is given to set up, and what it gives back; one function ``prepare`` a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hwnas.search.gradient.logits import Expected
from hwnas.search.gradient.step import LatencyBudget, Loss, RelaxedStep
from hwnas.shapes import Shape
from hwnas.spaces.relaxed import Probabilities, RelaxedSpace
from hwnas.supernet.relaxed import RelaxedNetwork
from hwnas.training.recipe import Recipe

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from hwnas.training.distill import Distillation


class MakeLoss(Protocol):
    """Makes a network's loss, its distance from the method's own ``teachers`` among it."""

    def __call__(self, network: RelaxedNetwork, *teachers: Distillation) -> Loss: ...


@dataclass(frozen=True)
class Order:
    """``shape`` is (3, H, W) of the crops; ``costs`` are further expectations by name (``macs``, ``params``), relative
    to their mean over the space. ``options`` are the method's own."""

    space: RelaxedSpace
    shape: Shape
    classes: int
    loss: MakeLoss
    recipe: Recipe
    expected_ms: Expected
    budget: LatencyBudget
    seed: int
    costs: Mapping[str, Expected] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """``optimizer`` is that of the network's weights. ``inherits``: the network's weights fit the derived network.
    ``teaching``: the relaxation of a teacher of the derived network, searched beside it."""

    step: RelaxedStep
    network: RelaxedNetwork
    optimizer: Optimizer
    inherits: bool = True
    teaching: Callable[[], Probabilities] | None = None


class Prepare(Protocol):
    """A method's set-up."""

    def __call__(self, order: Order) -> Prepared: ...
