"""Computation reallocation in two levels: between the stages exhaustively, then within the blocks greedily.

Liang et al., "Computation reallocation for object detection", ICLR 2020 (arXiv 1912.11234). First every allocation of
blocks to stages that costs the same is evaluated with the one-shot net, all blocks undilated (equation 1); then, in the
best one, the blocks are decided in turn (algorithm 1): each of the best ``beam`` partial networks is extended by every
option of the next block, and the best of those go on. A partial network is as good as the mean of some whole ones, its
undecided blocks drawn uniformly.

What differs: both levels are evaluated with one supernet, the paper trains a second one, of the dilations in the best
allocation; it draws as many whole networks as there are batches of validation images and tries each on one of those,
here ``completions`` of them see all held-out images. When all is decided, what time is left goes into single mutations
of the best.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.files import sha256_of_text
from hwnas.search.make import one_number
from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request, decisions_from_json, stream
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES, Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, is_active, mutate
from hwnas.spaces.narrowed import NarrowedSpace

ALLOCATION = "allocation"
ATTEMPTS = 60
"""Mutations of the best that are drawn before a random candidate takes their place."""
DRAWS = 8
"""Completions of a partial network that are drawn for each that is wanted: some are over the limits."""


class Waiting(Exception):
    """The next step depends on outcomes that are on their way."""


class Crnas:
    """The choice ``allocation`` of the spaces ``crnas…`` is decided first, by trying all of it.

    Other spaces are refused.
    """

    def __init__(self, problem: Problem, *, seed: int, beam: int = 3, completions: int = 3) -> None:
        if beam < 1 or completions < 1:
            raise HwnasError(
                f"crnas cannot keep {beam} partial networks, each judged by {completions} whole ones",
                "give a beam and completions of at least 1",
            )
        self._outer = _outer_choice(problem.space)
        self._proposer = Proposer(problem, seed)
        self._beam, self._completions = beam, completions
        self._scores: dict[str, tuple[Decisions, float | None]] = {}
        """Of every candidate that was told, by its key; None where it failed or is over a limit."""
        self._waiting: set[str] = set()
        self._planned_all = False
        """Both levels are done; it follows from the scores, and spares going through them again."""
        self._keys: dict[tuple[tuple[str, Value], ...], str] = {}
        self._drawn: dict[tuple[tuple[str, Value], ...], list[dict[str, Value]]] = {}
        """Whole networks within the limits, by the partial one that they complete; drawn once."""

    @staticmethod
    def refuses(problem: Problem) -> str | None:
        """Why it cannot serve ``problem``."""
        if all(choice.name != ALLOCATION for choice in problem.space.choices):
            return _lack()
        return one_number(problem)

    def ask(self, count: int) -> list[Request]:
        return self._proposer.numbered(count, self._request)

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            decisions = outcome.request.decisions
            key = self._proposer.problem.key(decisions)
            self._proposer.hear(outcome.request)
            self._waiting.discard(key)
            self._scores[key] = (decisions, self._proposer.problem.objective.score(outcome))

    def state(self) -> dict[str, Any]:
        return {
            **self._proposer.state(),
            "waiting": sorted(self._waiting),
            "scores": [[key, dict(decisions), score] for key, (decisions, score) in self._scores.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.restore(state)
        self._waiting = set(state["waiting"])
        self._scores = {key: (decisions_from_json(decisions), score) for key, decisions, score in state["scores"]}
        self._drawn = {}

    def _request(self, number: int) -> Request | None:
        try:
            drawn = None if self._planned_all else self._planned()
        except Waiting:
            return None
        if drawn is None:
            self._planned_all = True
            drawn = self._beyond(self._proposer.stream(number))
        if drawn is None:
            return None
        self._proposer.note(drawn)
        self._waiting.add(self._proposer.problem.key(drawn))
        return Request(drawn, number)

    def _planned(self) -> dict[str, Value] | None:
        """The next candidate of the two levels, None when both are done; :class:`Waiting` where it is not known yet."""
        wanted = self._unknown(self._allocations)
        if wanted is not None:
            return wanted
        best = self._best(self._allocations)
        if best is None:
            return None
        partials: list[dict[str, Value]] = [{self._outer.name: best[self._outer.name]}]
        inner = [choice for choice in self._proposer.problem.space.choices if choice.name != self._outer.name]
        for place, choice in enumerate(inner, start=1):
            extended = list(_extended(partials, choice))
            if len(extended) <= self._beam and place < len(inner):  # all of them go on
                partials = extended
                continue
            wanted = self._unknown(whole for partial in extended for whole in self._whole(partial))
            if wanted is not None:
                return wanted
            ranked = [(mean, partial) for partial in extended if (mean := self._potential(partial)) is not None]
            ranked.sort(key=lambda pair: -pair[0])  # stable: earlier options win ties
            partials = [partial for _, partial in ranked[: self._beam]] or partials
        return None

    @cached_property
    def _allocations(self) -> list[dict[str, Value]]:
        """Every option of the outer choice that is within the limits, the rest at their first options."""
        problem = self._proposer.problem
        first: dict[str, Value] = {choice.name: choice.options[0] for choice in problem.space.choices}
        every = (canonical(problem.space, {**first, self._outer.name: option}) for option in self._outer.options)
        return [each for each in every if problem.feasible(each)]

    def _whole(self, partial: Decisions) -> list[dict[str, Value]]:
        """Networks within the limits that complete ``partial``, undecided choices drawn uniformly; each once."""
        name = tuple(partial.items())
        if name not in self._drawn:
            problem = self._proposer.problem
            narrowed = NarrowedSpace(problem.space, {choice: (option,) for choice, option in partial.items()})
            rng = stream(self._proposer.seed, int(sha256_of_text(json.dumps(name))[:12], 16))
            found: dict[str, dict[str, Value]] = {}
            for _ in range(DRAWS * self._completions):
                drawn = canonical(problem.space, narrowed.sample(rng))
                if (key := self._key(drawn)) not in found and problem.feasible(drawn):
                    found[key] = drawn
                if len(found) == self._completions:
                    break
            self._drawn[name] = list(found.values())
        return self._drawn[name]

    def _potential(self, partial: Decisions) -> float | None:
        """The mean score of the whole networks that stand for ``partial``; None if none has one."""
        scores = [score for whole in self._whole(partial) if (score := self._score(whole)) is not None]
        return float(np.mean(scores)) if scores else None

    def _unknown(self, candidates: Iterable[dict[str, Value]]) -> dict[str, Value] | None:
        """The first that was never asked for; :class:`Waiting` if none is, but some are on their way."""
        waiting = False
        for each in candidates:
            key = self._key(each)
            if key in self._waiting:
                waiting = True
            elif key not in self._scores and key not in self._proposer.seen:
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


def _extended(partials: Iterable[Decisions], choice: Choice) -> Iterator[dict[str, Value]]:
    """``partials`` with every option of ``choice``, where that is active."""
    for partial in partials:
        if not is_active(choice, partial):
            yield dict(partial)
        else:
            yield from ({**partial, choice.name: option} for option in choice.options)


def _outer_choice(space: SearchSpace) -> Choice:
    for choice in space.choices:
        if choice.name == ALLOCATION:
            return choice
    raise HwnasError(f"crnas cannot search the space {space.name}: {_lack()}")


def _lack() -> str:
    able = [other for other in SPACES.names() if any(choice.name == ALLOCATION for choice in SPACES.get(other).choices)]
    return f"it has no choice {ALLOCATION!r} to begin with, as {', '.join(able) or 'no space'} has"


STRATEGIES.register("crnas", Crnas)
