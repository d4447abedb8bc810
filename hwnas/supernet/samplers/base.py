"""What a path sampler is: it says which paths of a supernet are trained next, and may learn from how they do.

The training loop (``supernet/train.py``) asks for paths, tells what came of them and how far the training is, keeps the
sampler's state beside the weights, and ends when the sampler says that it has settled. What else a sampler needs, it is
made with (:class:`Grounds`), a validation loss of paths among it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from hwnas.registry import Registry
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.supernet.prices import Price


class PathSampler(Protocol):
    """Says which paths the supernet trains next, and may learn from their losses."""

    def paths(self, count: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        """``count`` canonical decisions; the same one may come twice."""

    def feedback(self, paths: Sequence[Decisions], losses: Sequence[float]) -> None:
        """The training losses of paths that were given out."""

    def advance(self, fraction: float) -> None:
        """``fraction`` of the training's budget, 0 to 1, is spent; told before the first path and after every step."""

    @property
    def settled(self) -> bool:
        """Whether more training would change nothing that the sampler is after: the training ends."""

    def state(self) -> dict[str, Any]:
        """Everything that decides the future, as a JSON document."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on exactly from a :meth:`state`."""


@dataclass(frozen=True)
class Pooled:
    """A genotype that a sampler thinks well of, and its loss on held-out images with the shared weights."""

    decisions: Decisions
    loss: float


@runtime_checkable
class Steered(Protocol):
    """A sampler that judges paths while the supernet trains, and ends with a pool of good ones."""

    @property
    def judged(self) -> int:
        """How many paths were judged so far: forward passes that are no gradient steps."""

    def pool(self) -> list[Pooled]:
        """Whole genotypes within the budget, the best first."""


class PathJudge(Protocol):
    """How good paths are now: the loss of each on a few held-out images, with the weights as they are."""

    def losses(self, paths: Sequence[Decisions]) -> list[float]: ...


@dataclass(frozen=True)
class Grounds:
    """What samplers are made with. Paths may be priced at ``limit_ms``; what ends in a pool, at ``budget_ms``.

    The best candidates lie at the budget's edge, and a supernet should know what is on both sides of it; so the former
    may be somewhat larger.
    """

    space: SearchSpace
    price: Price
    budget_ms: float
    limit_ms: float
    judge: PathJudge
    rng: np.random.Generator
    known: Decisions | None = None
    """A genotype that is within both, if one is known."""


SamplerFactory: TypeAlias = "Callable[..., PathSampler]"
"""``factory(grounds, **options)``; the options are the sampler's own."""

SAMPLERS: Registry[SamplerFactory] = Registry("path sampler", "hwnas.supernet.samplers")
