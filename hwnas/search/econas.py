"""Hierarchical evolution: many children trained briefly, the promising ones for longer, parents from all of them.

Zhou et al., "EcoNAS: finding proxies for economical neural architecture search", CVPR 2020 (arXiv 2001.01233). Three
populations hold networks trained for 1, 2 and 3 parts of the epochs; the best of one are trained on, from their
checkpoints, into the next. Numbers are those of the authors' code (github.com/DongzhanZhou/EcoNAS, ``search/main.py``):
16 random networks, then cycles of 16 births, 8 promotions from the first population and 4 from the second; of 16
parents 6 come from the first population, 5 from each of the others, each the best of a quarter of it; a network is out
ten cycles after it was last trained.

What differs: a promotion is due as soon as its part of a cycle is known, so that workers never wait for a whole one;
parents are drawn with the weights 6, 5 and 5, not counted out; no candidate is born twice; and fewer than a cycle's
networks are promoted where failures leave fewer. Which proxy is trained under is the evaluator's affair (``hwnas
proxy-study`` finds a good one), and so is the learning rate: the authors' falls over the whole three parts, ours to 0
at the end of each.
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

LEVELS = 3
PARENTS = (6.0, 5.0, 5.0)
"""How often parents come from each population."""
MOST_ATTEMPTS = 72
"""Children drawn in one try, with a mutation more after every 12, before new blood takes their place."""


@dataclass(frozen=True)
class Member:
    """A living network of one population."""

    id: int
    decisions: Decisions
    score: float
    checkpoint: str | None
    cycle: int
    """When it was trained last."""


class Econas:
    """The first ``population`` networks are random. ``batch`` births are a cycle; then the best ``promoted`` of that
    number leave the first population to be trained on into the second, and so from there into the third. A parent is
    the best of ``tournament`` of a population (and one more, drawn with replacement), its child one mutation away.
    After ``lifetime`` cycles without training a network neither has children nor is promoted.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        population: int = 16,
        batch: int = 16,
        promoted: float = 0.5,
        tournament: float = 0.25,
        lifetime: int = 10,
    ) -> None:
        if population < 2 or batch < 1 or lifetime < 1 or not (0 < promoted <= 1 and 0 <= tournament <= 1):
            raise HwnasError(
                f"econas cannot run with population {population}, batch {batch}, promoted {promoted:g}, tournament "
                f"{tournament:g} and lifetime {lifetime}",
                "it needs at least 2 members, a batch and a lifetime of at least 1; the others are parts of 1",
            )
        self._proposer = Proposer(problem, seed)
        self._size, self._tournament, self._lifetime = population, tournament, lifetime
        self._batches = tuple(max(1, round(batch * promoted**level)) for level in range(LEVELS))
        self._living: list[list[Member]] = [[] for _ in range(LEVELS)]
        self._told = [0] * LEVELS
        self._asked = [0] * LEVELS
        self._waiting: dict[int, int] = {}
        """Requests on their way: number → level."""

    refuses = staticmethod(one_number)
    schedules = True

    def ask(self, count: int) -> list[Request]:
        return self._proposer.numbered(count, self._request)

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            request, level = outcome.request, level_of(outcome.request.fidelity)
            self._proposer.hear(request)
            if self._waiting.pop(request.id, None) is None:  # asked for in an earlier life of this search
                self._asked[level] += 1
                self._promote(level, request.decisions)
            self._told[level] += 1
            score = self._proposer.problem.objective.score(outcome)
            if score is not None:
                member = Member(request.id, request.decisions, score, outcome.checkpoint, self._cycle)
                self._living[level].append(member)
            if level == 0:
                self._bury()

    def state(self) -> dict[str, Any]:
        living = [[_document(member) for member in members] for members in self._living]
        return {
            **self._proposer.state(),
            "waiting": sorted(self._waiting.items()),
            "told": list(self._told),
            "asked": list(self._asked),
            "living": living,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.restore(state)
        self._waiting = dict(map(tuple, state["waiting"]))
        self._told, self._asked = list(state["told"]), list(state["asked"])
        self._living = [
            [Member(**{**entry, "decisions": decisions_from_json(entry["decisions"])}) for entry in entries]
            for entries in state["living"]
        ]

    @property
    def _cycle(self) -> int:
        """Counted by births that are known; the random ones come before."""
        return max(0, self._told[0] - self._size) // self._batches[0]

    def _bury(self) -> None:
        """Let those go that were not trained for a lifetime."""
        oldest = self._cycle - self._lifetime
        self._living = [[member for member in members if member.cycle > oldest] for members in self._living]

    def _request(self, number: int) -> Request | None:
        request = self._promotion(number) or self._birth(number)
        if request is not None:
            self._waiting[number] = level_of(request.fidelity)
            self._asked[level_of(request.fidelity)] += 1
        return request

    def _promotion(self, number: int) -> Request | None:
        """The best of the highest population that owes the next one a network."""
        for level in reversed(range(LEVELS - 1)):
            owed = self._told[level] // self._batches[level] * self._batches[level + 1]
            if self._living[level] and self._asked[level + 1] < owed:
                best = max(self._living[level], key=lambda member: (member.score, -member.id))
                self._living[level].remove(best)
                return Request(best.decisions, number, fidelity_of(level + 1), best.checkpoint)
        return None

    def _promote(self, level: int, decisions: Decisions) -> None:
        """Take a network that an earlier life sent to ``level`` out of the population below."""
        if level > 0:
            below = self._living[level - 1]
            gone = [member for member in below if dict(member.decisions) == dict(decisions)]
            for member in gone:
                below.remove(member)

    def _birth(self, number: int) -> Request | None:
        rng = self._proposer.stream(number)
        drawn: dict[str, Value] | None = None
        if self._asked[0] >= self._size and any(self._living):
            drawn = self._proposer.propose(self._child, rng, MOST_ATTEMPTS)
        if drawn is None:
            drawn = self._proposer.sample(rng)
        return None if drawn is None else Request(drawn, number, fidelity_of(0))

    def _child(self, rng: np.random.Generator, attempt: int) -> Decisions:
        child = self._parent(rng)
        for _ in range(1 + attempt // 12):
            child = mutate(self._proposer.problem.space, child, rng)
        return child

    def _parent(self, rng: np.random.Generator) -> Decisions:
        """The best of some members of one population."""
        weights = np.array([weight * bool(members) for weight, members in zip(PARENTS, self._living, strict=True)])
        members = self._living[int(rng.choice(LEVELS, p=weights / weights.sum()))]
        entrants = rng.integers(len(members), size=int(self._tournament * len(members)) + 1)
        return max((members[int(index)] for index in entrants), key=lambda member: member.score).decisions


def _document(member: Member) -> dict[str, Any]:
    return {**vars(member), "decisions": dict(member.decisions)}


def fidelity_of(level: int) -> float:
    """The part of a full training that the networks of a population have had."""
    return (level + 1) / LEVELS


def level_of(fidelity: float) -> int:
    """The population that a training of ``fidelity`` leads into."""
    return min(LEVELS, max(1, round(fidelity * LEVELS))) - 1


STRATEGIES.register("econas", Econas)
