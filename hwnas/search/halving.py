"""``halving``: asynchronous successive halving, and Hyperband, around any other strategy's proposals.

Li et al., "A system for massively parallel hyperparameter tuning" (ASHA), MLSys 2020; Jamieson and Talwalkar, AISTATS
2016; Hyperband: Li et al., JMLR 2018. Every candidate starts on the lowest rung, at the fidelity ``min_fidelity``; of
those on a rung, the best 1/``eta`` go on to the next, at ``eta`` times the fidelity, from the checkpoint that they left
behind. With several ``brackets`` (Hyperband), candidates start on the lowest rung, or on the one above, and so on, each
bracket being given about the same work; they are promoted within their bracket.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hwnas.errors import HwnasError
from hwnas.search.make import check_options, check_serves, one_number
from hwnas.search.pooled import takes_pool
from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request, decisions_from_json
from hwnas.spaces.base import Decisions


@dataclass
class Entrant:
    """A candidate on its way up. ``scores`` are by rung, None where it failed or was infeasible."""

    number: int
    """Its number among the inner strategy's requests."""
    decisions: Decisions
    bracket: int
    rung: int
    """The highest that it was sent to."""
    scores: dict[int, float | None] = field(default_factory=dict)
    checkpoint: str | None = None


Place = tuple[float, int]
"""(−score, number): the best come first, of equals the earlier."""


@dataclass
class Rung:
    """What is known of one rung of one bracket. Adding and asking take no longer as it fills, in effect."""

    ranked: list[Place] = field(default_factory=list)
    """Everybody with an outcome here."""
    waiting: list[Place] = field(default_factory=list)
    """Those of them that were not sent on, and might be."""

    def add(self, entrant: Entrant, score: float | None, *, sent_on: bool) -> None:
        """Take in an outcome."""
        place = (math.inf if score is None else -score, entrant.number)
        insort(self.ranked, place)
        if score is not None and not sent_on:
            insort(self.waiting, place)

    def send_on(self, eta: int) -> int | None:
        """The number of the best that has not been sent on, if it is among the best 1/eta here."""
        if not self.waiting or bisect_left(self.ranked, self.waiting[0]) >= len(self.ranked) // eta:
            return None
        return self.waiting.pop(0)[1]

    def send(self, entrant: Entrant, score: float | None) -> None:
        """Note that one was sent on."""
        place = (math.inf if score is None else -score, entrant.number)
        if place in self.waiting:
            self.waiting.remove(place)


class Halving:
    """``around`` proposes; options like ``around_population=16`` are its own. It is told what came of a candidate on
    its first rung only, so that what it compares was evaluated alike.

    A rung's best are promoted as soon as there are ``eta`` outcomes on it for each: nothing waits for a rung to be
    full, so any number of workers is kept busy.
    """

    refuses = staticmethod(one_number)
    schedules = True

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        around: str = "random",
        eta: int = 3,
        min_fidelity: float = 1 / 9,
        brackets: int = 1,
        **options: Any,
    ) -> None:
        if eta < 2 or not 0 < min_fidelity <= 1:
            raise HwnasError(
                f"halving cannot run with eta {eta} and min_fidelity {min_fidelity}",
                "eta is a whole number from 2 on, min_fidelity is above 0 and at most 1",
            )
        self._fidelities = rungs(min_fidelity, eta)
        if not 1 <= brackets <= len(self._fidelities):
            raise HwnasError(
                f"halving has {len(self._fidelities)} rungs, and cannot have {brackets} brackets",
                "give at least one, and at most one for each rung",
            )
        self._problem, self._eta, self._brackets = problem, eta, brackets
        self._inner = _inner(problem, seed, around, options)
        self._numbering = Proposer(problem, seed)
        """Of requests to be evaluated; the inner strategy draws, and has numbers of its own."""
        self._clear()

    def ask(self, count: int) -> list[Request]:
        return self._numbering.numbered(count, lambda number: self._promotion(number) or self._newcomer(number))

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._numbering.hear(outcome.request)
            rung = self._rung(outcome.request.fidelity)
            entrant = self._entrant(outcome.request.decisions, rung)
            if rung > entrant.rung:  # another life has sent it there
                entrant.rung = rung
                self._rungs[entrant.bracket, rung - 1].send(entrant, entrant.scores.get(rung - 1))
            score = self._problem.objective.score(outcome)
            entrant.scores[rung] = score
            if rung == entrant.rung:
                entrant.checkpoint = outcome.checkpoint
            self._rungs[entrant.bracket, rung].add(entrant, score, sent_on=entrant.rung > rung)
            if rung == entrant.bracket:
                self._inner.tell([replace(outcome, request=Request(entrant.decisions, entrant.number))])

    def state(self) -> dict[str, Any]:
        return {
            **self._numbering.state(),
            "inner": self._inner.state(),
            "entrants": [
                {
                    "decisions": dict(each.decisions),
                    "bracket": each.bracket,
                    "rung": each.rung,
                    "scores": [[rung, score] for rung, score in sorted(each.scores.items())],
                    "checkpoint": each.checkpoint,
                }
                for each in self._entrants
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._numbering.restore(state)
        self._inner.restore(state["inner"])
        self._clear()
        for each in state["entrants"]:
            entrant = self._enter(decisions_from_json(each["decisions"]), each["bracket"])
            entrant.rung, entrant.checkpoint = each["rung"], each["checkpoint"]
            for rung, score in each["scores"]:
                entrant.scores[rung] = score
                self._rungs[entrant.bracket, rung].add(entrant, score, sent_on=entrant.rung > rung)

    def _clear(self) -> None:
        self._entrants: list[Entrant] = []
        self._numbers: dict[str, int] = {}
        self._counts = [0] * self._brackets
        self._rungs: defaultdict[tuple[int, int], Rung] = defaultdict(Rung)

    def _promotion(self, number: int) -> Request | None:
        """The best of the highest rung that has somebody to send on."""
        for rung in reversed(range(len(self._fidelities) - 1)):
            for bracket in range(min(rung, self._brackets - 1) + 1):
                if (best := self._rungs[bracket, rung].send_on(self._eta)) is not None:
                    entrant = self._entrants[best]
                    entrant.rung = rung + 1
                    return Request(entrant.decisions, number, self._fidelities[rung + 1], entrant.checkpoint)
        return None

    def _newcomer(self, number: int) -> Request | None:
        """The inner strategy's next proposal, on the lowest rung of its bracket."""
        asked = self._inner.ask(1)
        if not asked:
            return None
        entrant = self._enter(asked[0].decisions, self._bracket_of_newcomer())
        return Request(entrant.decisions, number, self._fidelities[entrant.bracket])

    def _enter(self, decisions: Decisions, bracket: int) -> Entrant:
        entrant = Entrant(len(self._entrants), decisions, bracket, bracket)
        self._numbers[self._problem.key(decisions)] = entrant.number
        self._entrants.append(entrant)
        self._counts[bracket] += 1
        return entrant

    def _bracket_of_newcomer(self) -> int:
        """The one that has been given the least work: in Hyperband newcomers are the fewer, the higher a bracket's
        first fidelity and the more its rungs."""
        work = [
            (count + 1) * self._fidelities[bracket] * (len(self._fidelities) - bracket)
            for bracket, count in enumerate(self._counts)
        ]
        return work.index(min(work))

    def _entrant(self, decisions: Decisions, rung: int) -> Entrant:
        """Who an outcome is of; in a search that goes on, it may be told of what another life has asked for."""
        number = self._numbers.get(self._problem.key(decisions))
        if number is not None:
            return self._entrants[number]
        return self._enter(decisions, min(rung, self._brackets - 1))

    def _rung(self, fidelity: float) -> int:
        return min(range(len(self._fidelities)), key=lambda rung: abs(self._fidelities[rung] - fidelity))


def rungs(min_fidelity: float, eta: int) -> list[float]:
    """Fidelities from about ``min_fidelity`` (or the next above it) to 1, each ``eta`` times the one before."""
    count = math.floor(-math.log(min_fidelity) / math.log(eta) + 1e-9)
    return [float(eta) ** -step for step in range(count, -1, -1)]


def _inner(problem: Problem, seed: int, around: str, options: Mapping[str, Any]) -> Any:
    """The strategy that proposes."""
    if (reason := _not_around(around)) is not None:
        raise HwnasError(f"halving cannot go around {around}: {reason}", f"give one of {', '.join(_able())}")
    own = {}
    for name, value in options.items():
        if not name.startswith("around_"):
            raise HwnasError(
                f"the strategy halving has no option {name!r}",
                "it has: around, eta, min_fidelity, brackets, and around_… for those of the other",
            )
        own[name.removeprefix("around_")] = value
    check_serves(around, problem)
    check_options(around, own)
    return STRATEGIES.get(around)(problem, seed=seed, **own)


def _not_around(name: str) -> str | None:
    """Why halving cannot go around the strategy called ``name``, which it asks for single evaluations; else None."""
    if getattr(STRATEGIES.get(name), "schedules", False):
        return "it decides itself how long candidates are trained"
    if takes_pool(name):
        return "it begins with the pool of a supernet, whose slices have no fidelity"
    return None


def _able() -> list[str]:
    return [name for name in STRATEGIES.names() if _not_around(name) is None]


STRATEGIES.register("halving", Halving)
