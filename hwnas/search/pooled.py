"""Searches that begin with the pool of genotypes that a path sampler left when the supernet was trained."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
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
    repeats none of them. What is over a limit is left out, and of equal candidates all but the first; so is what it was
    told of before it asked, by another process at work on the same study.
    """

    def __init__(self, problem: Problem, pool: Sequence[Decisions], after: Strategy | None) -> None:
        self._problem, self._after = problem, after
        distinct = usable(problem, pool)
        self._pool = list(distinct.values())
        self._places = {key: place for place, key in enumerate(distinct)}
        self._told: set[int] = set()
        """Places in the pool whose outcomes are known."""
        self._asked = 0
        if after is not None and self._pool:
            own = {"next": len(distinct), "seen": list(distinct)}
            after.restore(
                {**after.state(), **own, **({"waiting": list(range(len(distinct)))} if _waits(after) else {})}
            )

    def ask(self, count: int) -> list[Request]:
        requests: list[Request] = []
        while len(requests) < count and self._asked < len(self._pool):
            if self._asked not in self._told:
                requests.append(Request(self._pool[self._asked], self._asked))
            self._asked += 1
        if self._after is None:
            return requests
        return requests + self._after.ask(count - len(requests))

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        told = [self._as_own(each) for each in outcomes]
        if self._after is not None:
            self._after.tell(told)

    def _as_own(self, outcome: Outcome) -> Outcome:
        """Of a candidate of the pool, whoever asked for it, by the number that it has here."""
        place = self._places.get(self._problem.key(outcome.request.decisions))
        if place is None:
            return outcome
        self._told.add(place)
        return replace(outcome, request=replace(outcome.request, id=place))

    def state(self) -> dict[str, Any]:
        after = None if self._after is None else self._after.state()
        pool = [dict(each) for each in self._pool]
        return {"asked": self._asked, "told": sorted(self._told), "pool": pool, "after": after}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._asked, self._told = int(state["asked"]), set(state["told"])
        self._pool = [decisions_from_json(each) for each in state["pool"]]
        self._places = {self._problem.key(each): place for place, each in enumerate(self._pool)}
        if self._after is not None and state["after"] is not None:
            self._after.restore(state["after"])


def usable(problem: Problem, pool: Sequence[Decisions]) -> dict[str, dict[str, Value]]:
    """Key → canonical decisions of what is within the limits of ``problem``, a pre-filter's included, in order."""
    found: dict[str, dict[str, Value]] = {}
    for each in (canonical(problem.space, each) for each in pool):
        if problem.feasible(each):
            found.setdefault(problem.key(each), each)
    return found


def takes_pool(strategy: str) -> bool:
    """Whether the strategy that ``strategy`` names (``"greedynas:population=20"``) has an option ``pool``."""
    return "pool" in inspect.signature(STRATEGIES.get(parse_call(strategy)[0])).parameters


def _waits(strategy: Strategy) -> bool:
    return "waiting" in strategy.state()
