"""Aging (regularised) evolution: the best of a random few has a mutated child, and the oldest dies.

Real, Aggarwal, Huang and Le, "Regularized evolution for image classifier architecture search", AAAI 2019.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.search.make import one_number
from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request, decisions_from_json
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import crossover, mutate

ATTEMPTS_A_STEP = 12
"""A child that is over budget or known is drawn again; after so many it takes one mutation more."""
MOST_STEPS = 6


@dataclass(frozen=True)
class Member:
    """One of the living: its decisions and its score."""

    decisions: Decisions
    score: float


class Evolution:
    """``population`` members live; parents win a ``tournament``; a child is a mutation, with probability
    ``crossover`` of the cross of two parents. The paper has 100, 25 and no crossover, for 20,000 evaluations; the
    defaults here suit some hundreds. What failed or is over budget never enters the population.
    """

    refuses = staticmethod(one_number)

    def __init__(
        self, problem: Problem, *, seed: int, population: int = 32, tournament: int = 8, crossover: float = 0.0
    ) -> None:
        if population < 2 or tournament < 1 or not 0 <= crossover <= 1:
            raise HwnasError(
                f"evolution cannot run with population {population}, tournament {tournament}, crossover {crossover}",
                "it needs at least 2 members, a tournament of at least 1 and a probability",
            )
        self._proposer = Proposer(problem, seed)
        self._size, self._tournament, self._crossover = population, tournament, crossover
        self._living: deque[Member] = deque(maxlen=population)  # the oldest first: appending to a full one drops it
        self._waiting: set[int] = set()

    def ask(self, count: int) -> list[Request]:
        return self._proposer.numbered(count, self._request)

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._proposer.hear(outcome.request)
            self._waiting.discard(outcome.request.id)
            score = self._proposer.problem.objective.score(outcome)
            if score is not None:
                self._living.append(Member(outcome.request.decisions, score))

    def state(self) -> dict[str, Any]:
        return {
            **self._proposer.state(),
            "waiting": sorted(self._waiting),
            "living": [{"decisions": dict(member.decisions), "score": member.score} for member in self._living],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.restore(state)
        self._waiting = set(state["waiting"])
        self._living.clear()
        self._living.extend(
            Member(decisions_from_json(entry["decisions"]), entry["score"]) for entry in state["living"]
        )

    def _request(self, number: int) -> Request | None:
        drawn = None if self._must_wait() else self._draw(self._proposer.stream(number))
        if drawn is None:
            return None
        self._waiting.add(number)
        return Request(drawn, number)

    def _must_wait(self) -> bool:
        """Nobody to choose parents from yet, but outcomes are on their way."""
        return self._proposer.next >= self._size and len(self._living) < 2 and bool(self._waiting)

    def _draw(self, rng: np.random.Generator) -> dict[str, Value] | None:
        if self._proposer.next < self._size or len(self._living) < 2:
            return self._proposer.sample(rng)
        child = self._proposer.propose(self._child, rng, ATTEMPTS_A_STEP * MOST_STEPS)
        # All that lies near is known or over budget: new blood rather than an end.
        return child if child is not None else self._proposer.sample(rng)

    def _child(self, rng: np.random.Generator, attempt: int) -> Decisions:
        space = self._proposer.problem.space
        child = self._parent(rng)
        if self._crossover and rng.random() < self._crossover:
            child = crossover(space, child, self._parent(rng), rng)
        for _ in range(1 + attempt // ATTEMPTS_A_STEP):
            child = mutate(space, child, rng)
        return child

    def _parent(self, rng: np.random.Generator) -> Decisions:
        entrants = rng.integers(len(self._living), size=self._tournament)  # as the authors: one may be drawn twice
        return max((self._living[int(index)] for index in entrants), key=lambda member: member.score).decisions


STRATEGIES.register("evolution", Evolution)
