"""Random search: the baseline that everything is compared with.

Li and Talwalkar, "Random search and reproducibility for neural architecture search", UAI 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request


class RandomSearch:
    """Draws from the space's own ``sample``, rejecting by price before anything is trained."""

    def __init__(self, problem: Problem, *, seed: int) -> None:
        self._proposer = Proposer(problem, seed)
        self._next = 0

    def ask(self, count: int) -> list[Request]:
        requests: list[Request] = []
        while len(requests) < count:
            drawn = self._proposer.sample(self._proposer.stream(self._next))
            if drawn is None:
                break
            requests.append(Request(drawn, self._next))
            self._next += 1
        return requests

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._proposer.note(outcome.request.decisions)
            self._next = max(self._next, outcome.request.id + 1)

    def state(self) -> dict[str, Any]:
        return {"seed": self._proposer.seed, "next": self._next, "seen": sorted(self._proposer.seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.seed = state["seed"]
        self._proposer.seen = set(state["seen"])
        self._next = state["next"]


STRATEGIES.register("random", RandomSearch)
