"""DPC's recipe: random search with a fast proxy, then the best few re-ranked at full size.

Chen et al., "Searching for efficient multi-scale architectures for dense image prediction", NeurIPS 2018 (arXiv
1809.04184): 28,000 cells, drawn uniformly and some of them near the best so far (section 3.2), each trained for a third
of the iterations on cached features of a frozen MobileNetV2; the 50 best of them trained in full, backbone and all.
Here the rounds repeat for as long as the search lasts, so that any time that is left is used; the first is the paper's.
How many are drawn near the best, and how near, the paper leaves to Vizier; here it is ``near`` of them, one mutation
away from one of as many as are ranked in the end.
"""

from __future__ import annotations

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
from hwnas.spaces.decisions import mutate

ATTEMPTS = 60
"""Mutations of the best that are drawn before a random candidate takes their place."""


@dataclass(frozen=True)
class Proxied:
    """A candidate that the proxy was asked about, by the request ``number``; ``score`` is None where it failed, or is
    not known yet.
    """

    number: int
    decisions: Decisions
    score: float | None = None
    told: bool = False


class Dpc:
    """Each round draws ``candidates``, ``near`` of them near the best so far and the others at random, and asks for
    them at the fidelity ``proxy``; then the best ``finalists`` of all so far that were not yet are asked for at
    fidelity 1, from the start, as in the paper.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        candidates: int = 40,
        finalists: int = 4,
        proxy: float = 0.1,
        near: float = 0.25,
    ) -> None:
        if candidates < 1 or not 1 <= finalists <= candidates or not 0 < proxy < 1 or not 0 <= near <= 1:
            raise HwnasError(
                f"dpc cannot run with {candidates} candidates ({near:g} of them near the best), {finalists} finalists "
                f"and a proxy of {proxy:g}",
                "it needs at least one candidate, no more finalists than candidates, a proxy between 0 and 1, and a "
                "part of 1 near the best",
            )
        self._proposer = Proposer(problem, seed)
        self._candidates, self._finalists, self._proxy, self._near = candidates, finalists, proxy, near
        self._drawn: dict[str, Proxied] = {}
        """By the candidate's key: the numbers of other processes' requests say nothing."""
        self._ranked: set[str] = set()

    refuses = staticmethod(one_number)
    schedules = True

    def ask(self, count: int) -> list[Request]:
        return self._proposer.numbered(count, self._request)

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            request = outcome.request
            self._proposer.hear(request)
            if request.fidelity < 1:
                score = self._proposer.problem.objective.score(outcome)
                key = self._proposer.problem.key(request.decisions)
                self._drawn[key] = Proxied(request.id, request.decisions, score, told=True)
            else:
                self._ranked.add(self._proposer.problem.key(request.decisions))

    def state(self) -> dict[str, Any]:
        drawn = [
            {"id": each.number, "decisions": dict(each.decisions), "score": each.score, "told": each.told}
            for each in self._drawn.values()
        ]
        return {
            **self._proposer.state(),
            "drawn": drawn,
            "ranked": sorted(self._ranked),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.restore(state)
        drawn = [
            Proxied(entry["id"], decisions_from_json(entry["decisions"]), entry["score"], entry["told"])
            for entry in state["drawn"]
        ]
        self._drawn = {self._proposer.problem.key(each.decisions): each for each in drawn}
        self._ranked = set(state["ranked"])

    def _request(self, number: int) -> Request | None:
        if self._round_is_over():
            return self._final(number)
        return self._draw(number) or self._final(number)

    def _round_is_over(self) -> bool:
        """All of a round's candidates are drawn, and some of its finalists are not asked for."""
        whole = len(self._drawn) // self._candidates
        return len(self._ranked) < whole * self._finalists and not (self._all_told() and self._due() is None)

    def _all_told(self) -> bool:
        return all(each.told for each in self._drawn.values())

    def _draw(self, number: int) -> Request | None:
        rng = self._proposer.stream(number)
        drawn = self._neighbour(rng) if rng.random() < self._near else None
        if drawn is None:
            drawn = self._proposer.sample(rng)
        if drawn is None:
            return None  # nothing new is left: what is known is all there is to rank
        self._drawn[self._proposer.problem.key(drawn)] = Proxied(number, drawn)
        return Request(drawn, number, fidelity=self._proxy)

    def _neighbour(self, rng: np.random.Generator) -> dict[str, Value] | None:
        """One mutation away from one of the best by the proxy; None while nothing is known, or nothing new is near."""
        best = [each.decisions for each in self._scored()[: self._finalists]]
        if not best:
            return None
        space = self._proposer.problem.space
        return self._proposer.propose(
            lambda rng, _: mutate(space, best[int(rng.integers(len(best)))], rng), rng, ATTEMPTS
        )

    def _final(self, number: int) -> Request | None:
        """The next finalist at full size; None while the round's outcomes are awaited, or when none is left."""
        best = self._due() if self._all_told() else None
        if best is None:
            return None
        self._ranked.add(self._proposer.problem.key(best))
        return Request(best, number)

    def _due(self) -> Decisions | None:
        """The best that is not ranked, of as many as the rounds so far may send on; earlier ones win ties."""
        rounds = -(-len(self._drawn) // self._candidates)
        if len(self._ranked) >= rounds * self._finalists:
            return None
        left = (each.decisions for each in self._scored())
        return next((each for each in left if self._proposer.problem.key(each) not in self._ranked), None)

    def _scored(self) -> list[Proxied]:
        """What the proxy has scored, the best first; earlier ones win ties."""
        scored = [each for each in self._drawn.values() if each.score is not None]
        return sorted(scored, key=lambda each: (-(each.score or 0.0), each.number))


STRATEGIES.register("dpc", Dpc)
