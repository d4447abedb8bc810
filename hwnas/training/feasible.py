"""What of a training can be refused before it has begun, or before the search that ends in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.errors import HwnasError
from hwnas.training.device import make_fabric
from hwnas.training.distill import check_teacher
from hwnas.training.drop_path import check_branches
from hwnas.training.losses import check_stride
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from hwnas.training.sizes import phases

if TYPE_CHECKING:
    from hwnas.ir.opgraph import OpGraph
    from hwnas.training.distill import Teacher


def check_training(
    recipe: Recipe,
    size_hw: tuple[int, int],
    classes: int,
    *,
    budget: Budget | None = None,
    device: str = "cpu",
    repeatable: bool = False,
    teacher: Teacher | None = None,
    graph: OpGraph | None = None,
) -> None:
    """HwnasError if no network can be trained so: on images of that size, from that teacher, on that device.

    ``graph`` is one of the networks, if any is known yet; ``budget`` what bounds the training, if it is.
    """
    if repeatable and budget is not None and budget.seconds is not None:
        raise HwnasError(
            "a training that is bounded by time follows the clock, and is never the same twice", "bound it by --steps"
        )
    make_fabric(recipe, device=device)
    for crop_hw, _ in phases(recipe, size_hw):
        check_stride(recipe, crop_hw)
        if teacher is not None:
            teacher.at(crop_hw)
    if teacher is not None:
        check_teacher(teacher, classes)
    if recipe.drop_path and graph is not None:
        check_branches(graph)
