"""DPC's recipe: random search with a fast proxy, then the best few re-ranked at full size.

Chen et al., "Searching for efficient multi-scale architectures for dense image prediction", NeurIPS 2018 (arXiv
1809.04184): 28,000 cells on cached features of a frozen backbone, the 50 best of them trained in full. Here the rounds
repeat for as long as the search lasts, so that any time that is left is used; the first is the paper's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hwnas.errors import HwnasError
from hwnas.search.make import one_number
from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request, decisions_from_json
from hwnas.spaces.base import Decisions


@dataclass(frozen=True)
class Proxied:
    """A candidate that the proxy was asked about. ``score`` is None where it failed, or is not known yet."""

    decisions: Decisions
    score: float | None = None
    told: bool = False


class Dpc:
    """Each round draws ``candidates`` at random and asks for them at the fidelity ``proxy``; then the best
    ``finalists`` of all so far that were not yet are asked for at fidelity 1, from the start, as in the paper.
    """

    def __init__(
        self, problem: Problem, *, seed: int, candidates: int = 40, finalists: int = 4, proxy: float = 0.1
    ) -> None:
        if candidates < 1 or not 1 <= finalists <= candidates or not 0 < proxy < 1:
            raise HwnasError(
                f"dpc cannot run with {candidates} candidates, {finalists} finalists and a proxy of {proxy:g}",
                "it needs at least one candidate, no more finalists than candidates, and a proxy between 0 and 1",
            )
        self._proposer = Proposer(problem, seed)
        self._candidates, self._finalists, self._proxy = candidates, finalists, proxy
        self._next = 0
        self._drawn: dict[int, Proxied] = {}
        """By the number of the request."""
        self._ranked: set[str] = set()

    refuses = staticmethod(one_number)

    def ask(self, count: int) -> list[Request]:
        requests: list[Request] = []
        while len(requests) < count:
            request = self._final() if self._round_is_over() else self._draw() or self._final()
            if request is None:
                break
            requests.append(request)
            self._next += 1
        return requests

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            request = outcome.request
            self._proposer.note(request.decisions)
            self._next = max(self._next, request.id + 1)
            if request.fidelity < 1:
                score = self._proposer.problem.objective.score(outcome)
                self._drawn[request.id] = Proxied(request.decisions, score, told=True)
            else:
                self._ranked.add(self._proposer.problem.key(request.decisions))

    def state(self) -> dict[str, Any]:
        drawn = [
            {"id": number, "decisions": dict(each.decisions), "score": each.score, "told": each.told}
            for number, each in sorted(self._drawn.items())
        ]
        return {
            "seed": self._proposer.seed,
            "next": self._next,
            "seen": sorted(self._proposer.seen),
            "drawn": drawn,
            "ranked": sorted(self._ranked),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.seed = state["seed"]
        self._proposer.seen = set(state["seen"])
        self._next = state["next"]
        self._drawn = {
            entry["id"]: Proxied(decisions_from_json(entry["decisions"]), entry["score"], entry["told"])
            for entry in state["drawn"]
        }
        self._ranked = set(state["ranked"])

    def _round_is_over(self) -> bool:
        """All of a round's candidates are drawn, and some of its finalists are not asked for."""
        drawn = len(self._drawn)
        full = drawn > 0 and drawn % self._candidates == 0
        return full and not (self._all_told() and self._due() is None)

    def _all_told(self) -> bool:
        return all(each.told for each in self._drawn.values())

    def _draw(self) -> Request | None:
        drawn = self._proposer.sample(self._proposer.stream(self._next))
        if drawn is None:
            return None  # nothing new is left: what is known is all there is to rank
        self._drawn[self._next] = Proxied(drawn)
        return Request(drawn, self._next, fidelity=self._proxy)

    def _final(self) -> Request | None:
        """The next finalist at full size; None while the round's outcomes are awaited, or when none is left."""
        best = self._due() if self._all_told() else None
        if best is None:
            return None
        self._ranked.add(self._proposer.problem.key(best))
        return Request(best, self._next)

    def _due(self) -> Decisions | None:
        """The best that is not ranked, of as many as the rounds so far may send on; earlier ones win ties."""
        rounds = -(-len(self._drawn) // self._candidates)
        if len(self._ranked) >= rounds * self._finalists:
            return None
        scored = [each for _, each in sorted(self._drawn.items()) if each.score is not None]
        left = [each for each in scored if self._proposer.problem.key(each.decisions) not in self._ranked]
        return max(left, key=lambda each: each.score or 0.0).decisions if left else None


STRATEGIES.register("dpc", Dpc)
