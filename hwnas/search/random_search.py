"""Random search: the baseline that everything is compared with.

Li and Talwalkar, "Random search and reproducibility for neural architecture search", UAI 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request
from hwnas.shapes import Value
from hwnas.spaces.decisions import uniform_draw

BATCHES = (1, 15, 64, 256, 1024, 2048)
"""Draws that are priced together, one batch after the other, until one is within the limits."""


class RandomSearch:
    """Uniform over the genotypes within the limits, by rejection before anything is trained.

    Where thousands of draws find none, the space's own ``sample`` is drawn from and walked to the budget.
    """

    def __init__(self, problem: Problem, *, seed: int) -> None:
        self._proposer = Proposer(problem, seed)
        self._draw = uniform_draw(problem.space)

    def ask(self, count: int) -> list[Request]:
        return self._proposer.requests(count, lambda rng: self._uniform(rng) or self._proposer.sample(rng))

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._proposer.hear(outcome.request)

    def state(self) -> dict[str, Any]:
        return self._proposer.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.restore(state)

    def _uniform(self, rng: np.random.Generator) -> dict[str, Value] | None:
        """The first uniform draw that is new and feasible, noted."""
        problem = self._proposer.problem
        for size in BATCHES:
            drawn = [self._draw(rng) for _ in range(size)]
            for index in np.flatnonzero(problem.excess_of_many(drawn) <= 0):
                if (accepted := self._proposer.accept(drawn[index])) is not None:
                    return accepted
        return None


STRATEGIES.register("random", RandomSearch)
