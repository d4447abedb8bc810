"""Expected latency of what a relaxation means, differentiable: exactly, or from genotypes that are drawn.

Exactly where the space's factors can be listed (:class:`~hwnas.latency.population.PopulationModel`), or it knows its
sites (:class:`~hwnas.latency.sited.SitedModel`). Elsewhere genotypes are drawn, priced one by one, and kept in a
window; the estimate is their mean price, each weighted by how much likelier it has become since it was drawn
(self-normalised importance sampling):

    E = Σ w_i L_i / Σ w_i,   w_i = p_now(g_i) / p_then(g_i)

Its gradient, Σ w_i (L_i - E) ∇ log p_now(g_i) / Σ w_i, is the score function's with the window's mean as baseline. The
bias falls with the window's size; its standard error is the spread of prices over the root of that size.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.latency.population import PopulationModel, Pricing
from hwnas.latency.sited import SitedModel
from hwnas.spaces.relaxed import RelaxedSpace, sampler_of
from hwnas.spaces.sites.known import sites_of
from hwnas.supernet.prices import Price

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.search.gradient.logits import Expected
    from hwnas.training.checkpoint import Part

FACTORED = frozenset({"darts", "realtime", "mbconv"})
"""Spaces whose nodes each depend on few choices: these can be listed. Of the others some node depends on very many: a
path through resolutions, which states of a cell are used."""
WINDOW, FRESH = 96, 6
"""Genotypes that are kept, and those that are drawn anew at each call."""


def is_exact(space: RelaxedSpace) -> bool:
    """Whether the expectation in ``space`` is exact (:func:`exact`), or has to be drawn."""
    return space.name in FACTORED or sites_of(space) is not None


def exact(
    space: RelaxedSpace, model: Pricing, size_hw: tuple[int, int], classes: int, rng: np.random.Generator
) -> Expected:
    """The expectation through the space's sites or factors; learning these takes up to a minute."""
    make = PopulationModel if sites_of(space) is None else SitedModel
    known = make(model, space, size_hw, classes, rng)
    return lambda weights: known.expected_ms(space.choice_probabilities(weights))


@dataclass(frozen=True)
class _Drawn:
    """Places of the options of the active choices (-1: not active), log p when it was drawn, price in ms."""

    places: tuple[int, ...]
    log_then: float
    price_ms: float


class DrawnExpectation:
    """See the module's docstring; call it with the weights of the soft choices. ``price`` gives ms, inf for what the
    table cannot price: such genotypes are left out."""

    def __init__(
        self, space: RelaxedSpace, price: Price, *, window: int = WINDOW, fresh: int = FRESH, seed: int = 0
    ) -> None:
        self.space, self.price, self.fresh, self.seed = space, price, fresh, seed
        self.kept: deque[_Drawn] = deque(maxlen=window)
        self.calls = 0
        self._places = [{option: i for i, option in enumerate(choice.options)} for choice in space.choices]

    def __call__(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Expected milliseconds, a scalar."""
        import torch

        meant = self.space.choice_probabilities(weights)
        self._draw(weights, meant)
        logs = self._logs(meant, [drawn.places for drawn in self.kept])
        then = logs.new_tensor([drawn.log_then for drawn in self.kept])
        prices = logs.new_tensor([drawn.price_ms for drawn in self.kept])
        return torch.softmax(logs - then, dim=0) @ prices

    def part(self) -> Part:
        """Its state, for a checkpoint."""
        from hwnas.training.checkpoint import Part

        def recall(facts: Any) -> None:
            self.calls = int(facts["calls"])
            self.kept.clear()
            self.kept.extend(_Drawn(tuple(places), log, ms) for places, log, ms in facts["kept"])

        return Part(
            facts=lambda: {
                "calls": self.calls,
                "kept": [[list(each.places), each.log_then, each.price_ms] for each in self.kept],
            },
            recall=recall,
        )

    def _draw(self, weights: Mapping[str, Tensor], meant: Mapping[str, Tensor]) -> None:
        count = self.fresh if self.kept else max(self.fresh, (self.kept.maxlen or 0) // 3)
        rng = np.random.default_rng([self.seed, self.calls])
        self.calls += 1
        draw = sampler_of(self.space, weights)
        for _ in range(20 * count):
            decisions = draw(rng)
            price_ms = self.price(decisions)
            if not math.isfinite(price_ms):
                continue
            places = tuple(
                index[decisions[choice.name]] if choice.name in decisions else -1
                for choice, index in zip(self.space.choices, self._places, strict=True)
            )
            log = float(self._logs(meant, [places]).detach()[0])
            self.kept.append(_Drawn(places, log, price_ms))
            count -= 1
            if not count:
                return
        if not self.kept:
            raise HwnasError(
                f"the latency table can price none of the genotypes drawn from {self.space.name}",
                "complete it with `hwnas profile --missing`",
            )

    def _logs(self, meant: Mapping[str, Tensor], rows: list[tuple[int, ...]]) -> Tensor:
        """log p of each row, shape (rows,)."""
        import torch

        columns = torch.tensor(rows).T
        total: Tensor | None = None
        for choice, column in zip(self.space.choices, columns, strict=True):
            logs = torch.cat([meant[choice.name].clamp_min(1e-12).log(), meant[choice.name].new_zeros(1)])
            term = logs[column]  # -1 is the zero of a choice that is not active
            total = term if total is None else total + term
        assert total is not None
        return total
