"""How much a training may spend, and how its learning rate follows what has been spent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from hwnas.training.recipe import Recipe


@dataclass(frozen=True)
class Spent:
    """What a training has used so far: optimizer steps and seconds of wall clock."""

    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """What a training may use: ``steps`` optimizer steps, ``seconds`` of wall clock, or whichever ends first."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.steps is None and self.seconds is None:
            raise HwnasError("a training needs a limit", "give it a number of steps or of seconds")
        for name in ("steps", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise HwnasError(f"a training of {value} {name} is impossible", f"give it more than 0 {name}")

    def fraction(self, spent: Spent) -> float:
        """How much of the budget is used, 0 to 1."""
        by_steps = 0.0 if self.steps is None else spent.steps / self.steps
        by_seconds = 0.0 if self.seconds is None else spent.seconds / self.seconds
        return min(1.0, max(by_steps, by_seconds))


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up over the first ``warmup`` of the budget, times a curve that falls with the budget.

    It follows the *fraction of the budget spent*, so a training that is bounded by minutes ends with a small learning
    rate on a slow machine and on a fast one. ``poly`` is ``(1 - fraction) ** power``, DeepLab's (arXiv 1606.00915),
    ``cosine`` half a cosine, SGDR's without restarts (arXiv 1608.03983); both fall to 0. ``constant`` stays.
    """

    warmup: float = 0.02
    power: float = 0.9
    curve: str = "poly"

    @classmethod
    def of(cls, recipe: Recipe) -> Schedule:
        """The recipe's."""
        return cls(recipe.warmup, recipe.power, recipe.schedule)

    def factor(self, fraction: float) -> float:
        """What the recipe's learning rate is multiplied by; never 0, so that the first and last step do something."""
        warm = min(1.0, (fraction + 1e-3) / self.warmup) if self.warmup > 0 else 1.0
        if self.curve == "cosine":
            falls = (1.0 + math.cos(math.pi * fraction)) / 2
        elif self.curve == "constant":
            falls = 1.0
        else:
            falls = (1.0 - fraction) ** self.power
        return max(1e-3, warm * falls)
