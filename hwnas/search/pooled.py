"""Searches that begin with the pool of genotypes that a path sampler left when the supernet was trained."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hwnas.search.make import parse_call
from hwnas.search.problem import Problem
from hwnas.search.strategy import STRATEGIES, Outcome, Request, Strategy, decisions_from_json
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import canonical


class PoolFirst:
    """Asks for the ``pool``, in its order, and then for what ``after`` asks for, if there is one.

    ``after`` takes the pool's requests for its own: it is told their outcomes, numbers its requests after them, and
    repeats none of them. What is over a limit is left out, and of equal candidates all but the first.
    """

    def __init__(self, problem: Problem, pool: Sequence[Decisions], after: Strategy | None) -> None:
        self._problem, self._after = problem, after
        within = [each for each in (canonical(problem.space, each) for each in pool) if problem.feasible(each)]
        distinct: dict[str, dict[str, Value]] = {}
        for each in within:
            distinct.setdefault(problem.key(each), each)
        self._pool = list(distinct.values())
        self._asked = 0
        if after is not None and self._pool:
            own = {"next": len(distinct), "seen": list(distinct)}
            after.restore(
                {**after.state(), **own, **({"waiting": list(range(len(distinct)))} if _waits(after) else {})}
            )

    def ask(self, count: int) -> list[Request]:
        pool = self._pool[self._asked : self._asked + count]
        requests = [Request(each, self._asked + place) for place, each in enumerate(pool)]
        self._asked += len(requests)
        if self._after is None:
            return requests
        return requests + self._after.ask(count - len(requests))

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        told = list(outcomes)
        self._asked = max([self._asked, *(min(each.request.id + 1, len(self._pool)) for each in told)])
        if self._after is not None:
            self._after.tell(told)

    def state(self) -> dict[str, Any]:
        after = None if self._after is None else self._after.state()
        return {"asked": self._asked, "pool": [dict(each) for each in self._pool], "after": after}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._asked = int(state["asked"])
        self._pool = [decisions_from_json(each) for each in state["pool"]]
        if self._after is not None and state["after"] is not None:
            self._after.restore(state["after"])


def takes_pool(strategy: str) -> bool:
    """Whether the strategy that ``strategy`` names (``"greedynas:population=20"``) has an option ``pool``."""
    return "pool" in inspect.signature(STRATEGIES.get(parse_call(strategy)[0])).parameters


def _waits(strategy: Strategy) -> bool:
    return "waiting" in strategy.state()
