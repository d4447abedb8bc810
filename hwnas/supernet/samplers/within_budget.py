"""Paths that stay within a latency budget, spread over all that it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.errors import BudgetError
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, decisions_from_json, mutate
from hwnas.supernet.prices import Price, fastest_of, remembered
from hwnas.supernet.samplers.base import SAMPLERS, Grounds


class WithinBudget:
    """Genotypes priced at ``limit_ms`` or less.

    Where at least ``rejection_rate`` of random genotypes are, they are drawn until one is. Where fewer are, ``chains``
    random walks go by single mutations among the feasible ones: each path is ``steps`` mutations of a random chain, so
    successive paths differ widely. Chains start from random genotypes, led to the budget by mutations that lower their
    price, or from ``known``, a genotype that is within, if none was led there. Raises BudgetError, with the fastest
    latency found, if nothing is feasible.

    ``price`` is the given price with a memory: training on the paths can ask it again for nothing.
    """

    def __init__(
        self,
        space: SearchSpace,
        price: Price,
        limit_ms: float,
        rng: np.random.Generator,
        *,
        probes: int = 60,
        rejection_rate: float = 0.1,
        chains: int = 48,
        steps: int = 2,
        known: Decisions | None = None,
    ) -> None:
        if not limit_ms > 0:
            raise BudgetError(f"a budget of {limit_ms:g} ms is not positive", "give it in milliseconds, like 10ms")
        self.space, self.limit_ms, self.steps = space, limit_ms, steps
        self.price = price = remembered(price)
        drawn = [canonical(space, space.sample(rng)) for _ in range(probes)]
        prices = [price(decisions) for decisions in drawn]
        self.feasible_fraction = float(np.mean([cost <= limit_ms for cost in prices]))
        self.chains: list[dict[str, Value]] = []
        if self.feasible_fraction < rejection_rate:
            self.chains = self._start_chains(drawn, prices, chains, rng, known)

    def paths(self, count: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        return [self._walk(rng) if self.chains else self._draw(rng) for _ in range(count)]

    def feedback(self, paths: Sequence[Decisions], losses: Sequence[float]) -> None:
        pass

    def advance(self, fraction: float) -> None:
        pass

    @property
    def settled(self) -> bool:
        return False

    def state(self) -> dict[str, Any]:
        return {"chains": [dict(chain) for chain in self.chains]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.chains = [decisions_from_json(chain) for chain in state["chains"]]

    def _draw(self, rng: np.random.Generator) -> dict[str, Value]:
        while True:
            drawn = canonical(self.space, self.space.sample(rng))
            if self.price(drawn) <= self.limit_ms:
                return drawn

    def _walk(self, rng: np.random.Generator) -> dict[str, Value]:
        index = int(rng.integers(len(self.chains)))
        self.chains[index] = self._moved(self.chains[index], self.steps, rng)
        return dict(self.chains[index])

    def _moved(self, decisions: dict[str, Value], steps: int, rng: np.random.Generator) -> dict[str, Value]:
        """``steps`` feasible mutations on, or fewer where four times as many tries find no more."""
        left = steps
        for _ in range(4 * steps):
            step = mutate(self.space, decisions, rng)
            if self.price(step) <= self.limit_ms:
                decisions, left = step, left - 1
                if not left:
                    break
        return decisions

    def _start_chains(
        self,
        drawn: list[dict[str, Value]],
        prices: list[float],
        count: int,
        rng: np.random.Generator,
        known: Decisions | None,
    ) -> list[dict[str, Value]]:
        """From a quarter as many random draws, the nearest to the budget: those led from far away are more alike."""
        found: list[dict[str, Value]] = []
        fastest = min(prices)
        for index in np.argsort(prices, kind="stable")[: max(1, count // 4)]:
            start, cost = self._lead(drawn[index], prices[index], rng)
            fastest = min(fastest, cost)
            if cost <= self.limit_ms:
                found.append(start)
        if not found and known is not None and self.price(known) <= self.limit_ms:
            found.append(dict(known))
        if not found:
            start, cost = fastest_of(self.space, self.price, drawn[int(np.argmin(prices))], stop_ms=self.limit_ms)
            fastest = min(fastest, cost)
            if cost > self.limit_ms:
                raise BudgetError(
                    f"no genotype of space {self.space.name} within {self.limit_ms:.3g} ms was found; "
                    f"the fastest found takes {fastest:.3g} ms",
                    f"raise the budget to at least {fastest:.3g} ms, or make the input smaller",
                )
            found.append(start)
        return [self._moved(found[index % len(found)], 12, rng) for index in range(count)]

    def _lead(self, decisions: Decisions, cost: float, rng: np.random.Generator) -> tuple[dict[str, Value], float]:
        current = dict(decisions)
        for _ in range(4 * len(self.space.choices)):
            if cost <= self.limit_ms:
                break
            step = mutate(self.space, current, rng)
            if (step_cost := self.price(step)) < cost:
                current, cost = step, step_cost
        return current, cost


def uniform(grounds: Grounds) -> WithinBudget:
    """As even as the budget allows: what methods that steer are compared with."""
    return WithinBudget(grounds.space, grounds.price, grounds.limit_ms, grounds.rng, known=grounds.known)


SAMPLERS.register("uniform", uniform)
