"""Hierarchical evolution: many children trained briefly, the promising ones for longer, parents from all of them.

Zhou et al., "EcoNAS: finding proxies for economical neural architecture search", CVPR 2020 (arXiv 2001.01233). Three
populations hold networks trained for 1, 2 and 3 parts of the epochs; the best of one are trained on, from their
checkpoints, into the next. What the paper does in batches that wait for each other is done here as soon as a batch's
worth of outcomes is known, so that workers are never idle; one at a time, it is the paper's order. Which proxy is
trained under is the evaluator's affair (``hwnas proxy-study`` finds a good one).
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
from hwnas.spaces.decisions import mutate

LEVELS = 3
MOST_ATTEMPTS = 72
"""Children drawn in one try, with a mutation more after every 12, before new blood takes their place."""


@dataclass(frozen=True)
class Member:
    """A living network of one population."""

    id: int
    decisions: Decisions
    score: float
    checkpoint: str | None


class Econas:
    """``population`` networks live in each of the three populations; the oldest die. After every ``batch`` births,
    the best ``promoted`` of that number leave the first population to be trained on into the second, and so from there
    into the third. The first ``population`` networks are random; then a parent wins a ``tournament`` within a
    population, which is drawn with weights 1, 2 and 3, and its child is one mutation away.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        population: int = 16,
        batch: int = 8,
        promoted: float = 0.5,
        tournament: int = 4,
    ) -> None:
        if population < 2 or batch < 1 or tournament < 1 or not 0 < promoted <= 1:
            raise HwnasError(
                f"econas cannot run with population {population}, batch {batch}, promoted {promoted:g} and "
                f"tournament {tournament}",
                "it needs at least 2 members, a batch and tournament of at least 1, a part between 0 and 1",
            )
        self._proposer = Proposer(problem, seed)
        self._size, self._tournament = population, tournament
        self._batches = tuple(max(1, round(batch * promoted**level)) for level in range(LEVELS))
        self._living: list[deque[Member]] = [deque(maxlen=population) for _ in range(LEVELS)]
        self._next = 0
        self._told = [0] * LEVELS
        self._asked = [0] * LEVELS
        self._waiting: dict[int, int] = {}
        """Requests on their way: number → level."""

    refuses = staticmethod(one_number)

    def ask(self, count: int) -> list[Request]:
        requests: list[Request] = []
        while len(requests) < count:
            request = self._promotion() or self._birth()
            if request is None:
                break
            self._waiting[request.id] = level_of(request.fidelity)
            self._asked[level_of(request.fidelity)] += 1
            self._next += 1
            requests.append(request)
        return requests

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            request, level = outcome.request, level_of(outcome.request.fidelity)
            self._proposer.note(request.decisions)
            self._next = max(self._next, request.id + 1)
            if self._waiting.pop(request.id, None) is None:  # asked for in an earlier life of this search
                self._asked[level] += 1
                self._promote(level, request.decisions)
            self._told[level] += 1
            score = self._proposer.problem.objective.score(outcome)
            if score is not None:
                self._living[level].append(Member(request.id, request.decisions, score, outcome.checkpoint))

    def state(self) -> dict[str, Any]:
        living = [[_document(member) for member in members] for members in self._living]
        return {
            "seed": self._proposer.seed,
            "next": self._next,
            "seen": sorted(self._proposer.seen),
            "waiting": sorted(self._waiting.items()),
            "told": list(self._told),
            "asked": list(self._asked),
            "living": living,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.seed = state["seed"]
        self._proposer.seen = set(state["seen"])
        self._next = state["next"]
        self._waiting = dict(map(tuple, state["waiting"]))
        self._told, self._asked = list(state["told"]), list(state["asked"])
        for members, entries in zip(self._living, state["living"], strict=True):
            members.clear()
            members.extend(
                Member(entry["id"], decisions_from_json(entry["decisions"]), entry["score"], entry["checkpoint"])
                for entry in entries
            )

    def _promotion(self) -> Request | None:
        """The best of the highest population that owes the next one a network."""
        for level in reversed(range(LEVELS - 1)):
            owed = self._told[level] // self._batches[level] * self._batches[level + 1]
            if self._living[level] and self._asked[level + 1] < owed:
                best = max(self._living[level], key=lambda member: (member.score, -member.id))
                self._living[level].remove(best)
                return Request(best.decisions, self._next, fidelity_of(level + 1), best.checkpoint)
        return None

    def _promote(self, level: int, decisions: Decisions) -> None:
        """Take a network that an earlier life sent to ``level`` out of the population below."""
        if level > 0:
            below = self._living[level - 1]
            gone = [member for member in below if dict(member.decisions) == dict(decisions)]
            for member in gone:
                below.remove(member)

    def _birth(self) -> Request | None:
        rng = self._proposer.stream(self._next)
        drawn: dict[str, Value] | None = None
        if self._asked[0] >= self._size and any(self._living):
            drawn = self._proposer.propose(self._child, rng, MOST_ATTEMPTS)
        if drawn is None:
            drawn = self._proposer.sample(rng)
        return None if drawn is None else Request(drawn, self._next, fidelity_of(0))

    def _child(self, rng: np.random.Generator, attempt: int) -> Decisions:
        weights = np.array([(level + 1) * bool(members) for level, members in enumerate(self._living)], float)
        members = self._living[int(rng.choice(LEVELS, p=weights / weights.sum()))]
        entrants = rng.choice(len(members), size=min(self._tournament, len(members)), replace=False)
        child = max((members[int(index)] for index in entrants), key=lambda member: member.score).decisions
        for _ in range(1 + attempt // 12):
            child = mutate(self._proposer.problem.space, child, rng)
        return child


def _document(member: Member) -> dict[str, Any]:
    return {**vars(member), "decisions": dict(member.decisions)}


def fidelity_of(level: int) -> float:
    """The part of a full training that the networks of a population have had."""
    return (level + 1) / LEVELS


def level_of(fidelity: float) -> int:
    """The population that a training of ``fidelity`` leads into."""
    return min(LEVELS, max(1, round(fidelity * LEVELS))) - 1


STRATEGIES.register("econas", Econas)
