"""Computation reallocation in two levels: between the stages exhaustively, then within the blocks greedily.

Liang et al., "Computation reallocation for object detection", ICLR 2020 (arXiv 1912.11234). First every allocation of
blocks to stages that costs the same is evaluated with the one-shot net, all blocks undilated; then, in the best one,
the blocks are decided in turn: each of the best ``beam`` partial networks is extended by every option of the next
block, and the best ``beam`` of those go on. Blocks that are not decided yet keep their first option (the paper leaves
open what they are). When that is done, what time is left goes into single mutations of the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.search.make import one_number
from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request, decisions_from_json
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES, Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, mutate

ALLOCATION = "allocation"
ATTEMPTS = 60
"""Mutations of the best that are drawn before a random candidate takes their place."""


class Waiting(Exception):
    """The next step depends on outcomes that are on their way."""


class Crnas:
    """``outer`` is the choice that is decided first, by trying all of it: ``allocation`` of the spaces ``crnas…``.

    Other spaces are refused.
    """

    def __init__(self, problem: Problem, *, seed: int, beam: int = 3, outer: str = ALLOCATION) -> None:
        if beam < 1:
            raise HwnasError(f"crnas cannot keep {beam} partial networks", "give a beam of at least 1")
        self._outer = _outer_choice(problem.space, outer)
        self._proposer = Proposer(problem, seed)
        self._beam = beam
        self._next = 0
        self._scores: dict[str, tuple[Decisions, float | None]] = {}
        """Of every candidate that was told, by its key; None where it failed or is over a limit."""
        self._waiting: set[str] = set()
        self._planned_all = False
        """Both levels are done; it follows from the scores, and spares going through them again."""
        self._keys: dict[tuple[tuple[str, Value], ...], str] = {}

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve ``problem``."""
        if all(choice.name != ALLOCATION for choice in problem.space.choices):
            return _lack(ALLOCATION)
        return one_number(problem)

    def ask(self, count: int) -> list[Request]:
        requests: list[Request] = []
        while len(requests) < count:
            try:
                drawn = None if self._planned_all else self._planned()
            except Waiting:
                break
            if drawn is None:
                self._planned_all = True
                drawn = self._beyond(self._proposer.stream(self._next))
            if drawn is None:
                break
            self._proposer.note(drawn)
            self._waiting.add(self._proposer.problem.key(drawn))
            requests.append(Request(drawn, self._next))
            self._next += 1
        return requests

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            decisions = outcome.request.decisions
            key = self._proposer.problem.key(decisions)
            self._proposer.note(decisions)
            self._next = max(self._next, outcome.request.id + 1)
            self._waiting.discard(key)
            self._scores[key] = (decisions, self._proposer.problem.objective.score(outcome))

    def state(self) -> dict[str, Any]:
        return {
            "seed": self._proposer.seed,
            "next": self._next,
            "seen": sorted(self._proposer.seen),
            "waiting": sorted(self._waiting),
            "scores": [[key, dict(decisions), score] for key, (decisions, score) in self._scores.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.seed = state["seed"]
        self._proposer.seen = set(state["seen"])
        self._next = state["next"]
        self._waiting = set(state["waiting"])
        self._scores = {key: (decisions_from_json(decisions), score) for key, decisions, score in state["scores"]}

    def _planned(self) -> dict[str, Value] | None:
        """The next candidate of the two levels, None when both are done; :class:`Waiting` where it is not known yet."""
        wanted = self._unknown(self._allocations())
        if wanted is not None:
            return wanted
        best = self._best(self._allocations())
        beam = [best] if best is not None else []
        for choice in self._proposer.problem.space.choices:
            if choice.name == self._outer.name:
                continue
            extended = list(self._extended(beam, choice))
            wanted = self._unknown(extended)
            if wanted is not None:
                return wanted
            ranked = [each for each in extended if self._score(each) is not None]
            ranked.sort(key=lambda each: -(self._score(each) or 0.0))  # stable: earlier options win ties
            beam = ranked[: self._beam] or beam
        return None

    def _allocations(self) -> list[dict[str, Value]]:
        """Every option of the outer choice, the rest at their first options."""
        space = self._proposer.problem.space
        first: dict[str, Value] = {choice.name: choice.options[0] for choice in space.choices}
        return [canonical(space, {**first, self._outer.name: option}) for option in self._outer.options]

    def _extended(self, beam: list[dict[str, Value]], choice: Choice) -> Iterator[dict[str, Value]]:
        """The members of ``beam`` with every option of ``choice``, each once."""
        space = self._proposer.problem.space
        first: dict[str, Value] = {other.name: other.options[0] for other in space.choices}
        known: set[str] = set()
        for member in beam:
            for option in choice.options if choice.name in member else (member.get(choice.name),):
                each = canonical(space, {**first, **member, choice.name: option} if option is not None else member)
                key = self._key(each)
                if key not in known:
                    known.add(key)
                    yield each

    def _unknown(self, candidates: Iterable[dict[str, Value]]) -> dict[str, Value] | None:
        """The first feasible one that was never asked for; :class:`Waiting` if none is, but some are on their way."""
        waiting = False
        problem = self._proposer.problem
        for each in candidates:
            key = self._key(each)
            if key in self._waiting:
                waiting = True
            elif key not in self._scores and key not in self._proposer.seen and problem.feasible(each):
                return each
        if waiting:
            raise Waiting
        return None

    def _score(self, decisions: Decisions) -> float | None:
        return self._scores.get(self._key(decisions), (decisions, None))[1]

    def _key(self, decisions: Decisions) -> str:
        place = tuple(decisions.items())
        if place not in self._keys:
            self._keys[place] = self._proposer.problem.key(decisions)
        return self._keys[place]

    def _best(self, candidates: Iterable[dict[str, Value]]) -> dict[str, Value] | None:
        scored = [(score, each) for each in candidates if (score := self._score(each)) is not None]
        return max(scored, key=lambda pair: pair[0])[1] if scored else None

    def _beyond(self, rng: np.random.Generator) -> dict[str, Value] | None:
        """A mutation of the best of all, or where nothing new lies near, a random candidate."""
        scored = [(score, decisions) for decisions, score in self._scores.values() if score is not None]
        space = self._proposer.problem.space
        if scored:
            best = max(scored, key=lambda pair: pair[0])[1]

            def child(rng: np.random.Generator, attempt: int) -> Decisions:
                mutated = best
                for _ in range(1 + attempt // 12):
                    mutated = mutate(space, mutated, rng)
                return mutated

            found = self._proposer.propose(child, rng, ATTEMPTS)
            if found is not None:
                return found
        return self._proposer.sample(rng)


def _outer_choice(space: SearchSpace, name: str) -> Choice:
    for choice in space.choices:
        if choice.name == name:
            return choice
    raise HwnasError(f"crnas cannot search the space {space.name}: {_lack(name)}")


def _lack(name: str) -> str:
    able = [other for other in SPACES.names() if any(choice.name == name for choice in SPACES.get(other).choices)]
    return f"it has no choice {name!r} to begin with, as {', '.join(able) or 'no space'} has"


STRATEGIES.register("crnas", Crnas)
