"""Sites: where a space's nodes stand, with all that decides what they are there.

What a node of a network is depends on few things, but these need not be choices: a layer of Auto-DeepLab depends on the
levels of three layers of the path, and a path is one choice of thousands. A *site* is such a place with such facts: an
op on the older input of a cell that goes from level 1 to 2, behind one at level 1. A network is then a number of
occurrences of each site, all occurrences of a site cost the same, and the expected latency of a distribution is the sum
over the sites of how often each occurs times what it costs. How often is known without listing genotypes: sums and
products over choices that are drawn independently, and recursion over those that are not.

Spaces whose nodes depend on too many choices to be listed have sites (:mod:`hwnas.spaces.sites.known`); what these cost
is read off a few hundred networks (:mod:`hwnas.latency.sited`). Nothing here knows latencies.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hwnas.shapes import Value
from hwnas.spaces.base import Decisions

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Site = tuple[str, tuple[int, ...]]
"""The group of a site, and its place in the group's array of counts."""
Spot = tuple[Site, Hashable]
"""A site, and which of its occurrences in the network."""


class Reading(Protocol):
    """At which spots the nodes and edges of one network's graph are; what is at one spot costs one sum."""

    def node(self, name: str) -> Spot: ...

    def edge(self, consumer: str, slot: int, producer: str) -> Spot: ...

    def shown(self) -> Iterable[Site]:
        """Sites that it shows, the rarest kinds among them: by these networks are chosen to be looked at."""


class Sites(Protocol):
    """The sites of a space."""

    def proposal(self, rng: np.random.Generator) -> dict[str, Value]:
        """Decisions of some network; sooner or later every site that a relaxation can mean is shown by one."""

    def reading(self, decisions: Decisions) -> Reading:
        """The sites of the network of ``decisions``."""

    def counts(self, meant: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Group → how often each of its sites occurs in the mean, where every choice is drawn by ``meant`` (choice →
        probabilities of its options), those that are not active left out. Differentiable."""


class Constants:
    """Arrays as tensors of whatever dtype and on whatever device, each made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def get(self, name: str, array: np.ndarray[Any, np.dtype[np.float64]], like: Tensor) -> Tensor:
        """``array``, which is called ``name``, as ``like``."""
        import torch

        key = (name, like.dtype, like.device)
        if key not in self._made:
            self._made[key] = torch.from_numpy(array).to(like.device, like.dtype)
        return self._made[key]
