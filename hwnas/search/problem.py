"""What is searched: a space, an objective, and what every candidate is known to cost before it is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwnas.ir.fingerprint import fingerprint
from hwnas.search.objective import Objective
from hwnas.search.strategy import Request, stream
from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, mutate

REJECTIONS = 200
"""Random draws that are tried before the nearest of them is walked towards the budget."""

PriceMany = Callable[[Sequence[Decisions]], Mapping[str, np.ndarray]]
Draw = Callable[[np.random.Generator, int], Decisions]
"""Draws a proposal; the second argument counts the attempts, so that later ones may go further."""


def no_costs(decisions: Decisions) -> Mapping[str, float]:
    """A price for searches without limits."""
    return {}


def decisions_key(space: SearchSpace, decisions: Decisions) -> str:
    """16 hex digits, equal exactly for decisions that differ in inactive choices only."""
    text = json.dumps(canonical(space, decisions), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def candidate_key(candidate: Candidate) -> str:
    """Hex digits, equal exactly for candidates of the same architecture, whatever led to it, and the same recipe."""
    network = fingerprint(candidate.genotype)
    if not candidate.recipe:
        return network
    recipe = json.dumps(dict(candidate.recipe), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{network} {recipe}".encode()).hexdigest()[:32]


def by_candidate(space: SearchSpace) -> Callable[[Decisions], str]:
    """Keys of decisions by the candidates that they mean (:func:`candidate_key`), each decoded once."""
    known: dict[str, str] = {}

    def identify(decisions: Decisions) -> str:
        same = decisions_key(space, decisions)
        if same not in known:
            known[same] = candidate_key(space.decode(decisions))
        return known[same]

    return identify


@dataclass(frozen=True)
class Problem:
    """``price`` gives a candidate's costs from tables (``{"latency_ms": 8.3, "macs": …}``), without training it.

    ``identify`` gives equal keys for decisions that mean the same candidate; by default canonical decisions do.
    """

    space: SearchSpace
    objective: Objective = field(default_factory=Objective)
    price: Callable[[Decisions], Mapping[str, float]] = no_costs
    identify: Callable[[Decisions], str] | None = None
    price_many: PriceMany | None = None
    """The same as ``price`` for many at once, where that is quicker."""

    def key(self, decisions: Decisions) -> str:
        """What the candidate is known by in the study; the same candidate is never evaluated twice."""
        return self.identify(decisions) if self.identify else decisions_key(self.space, decisions)

    def feasible(self, decisions: Decisions) -> bool:
        """Whether everything that is known before training is within its limit."""
        return self.objective.excess(self.price(decisions)) <= 0

    def excess_of_many(self, decisions: Sequence[Decisions]) -> np.ndarray:
        """How far each exceeds the limits on what is known before training, relatively, shape (N,); ≤ 0 is within."""
        if self.price_many is None:
            return np.array([self.objective.excess(self.price(each)) for each in decisions])
        costs = self.price_many(decisions)
        over = [costs[name] / limit - 1 for name, limit in self.objective.limits.items() if name in costs]
        return np.nan_to_num(np.max(over, axis=0), nan=np.inf) if over else np.full(len(decisions), -1.0)


class Proposer:
    """Draws candidates that are within the limits and were not proposed before. Strategies own one."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.seed = seed
        self.next = 0
        """The number of the next request."""
        self.seen: set[str] = set()

    def stream(self, number: int) -> np.random.Generator:
        """The randomness of the request ``number``."""
        return stream(self.seed, number)

    def note(self, decisions: Decisions) -> None:
        """Remember a candidate as proposed."""
        self.seen.add(self.problem.key(decisions))

    def hear(self, request: Request) -> None:
        """Remember a request, also one of an earlier life of the search: its number is taken."""
        self.note(request.decisions)
        self.next = max(self.next, request.id + 1)

    def requests(self, count: int, draw: Callable[[np.random.Generator], dict[str, Value] | None]) -> list[Request]:
        """At most ``count`` requests in full, each drawn with its own randomness; fewer where ``draw`` finds none."""

        def make(number: int) -> Request | None:
            drawn = draw(self.stream(number))
            return None if drawn is None else Request(drawn, number)

        return self.numbered(count, make)

    def numbered(self, count: int, make: Callable[[int], Request | None]) -> list[Request]:
        """At most ``count`` requests, each made for its number; fewer where ``make`` has none now."""
        made: list[Request] = []
        while len(made) < count and (request := make(self.next)) is not None:
            made.append(request)
            self.next += 1
        return made

    def state(self) -> dict[str, Any]:
        """What a strategy's own state holds of it, as JSON."""
        return {"seed": self.seed, "next": self.next, "seen": sorted(self.seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`, or from the strategy's state that it is part of."""
        self.seed, self.next, self.seen = state["seed"], state["next"], set(state["seen"])

    def propose(self, draw: Draw, rng: np.random.Generator, attempts: int) -> dict[str, Value] | None:
        """The first draw that is new and feasible, in canonical form and noted; None after ``attempts``."""
        for attempt in range(attempts):
            found = self.accept(draw(rng, attempt))
            if found is not None:
                return found
        return None

    def sample(self, rng: np.random.Generator) -> dict[str, Value] | None:
        """A random candidate: by rejection, and where that finds none, by walking the nearest draw to the budget.

        None if nothing new was found: the space is small and exhausted, or the limits cannot be met.
        """
        nearest: tuple[float, Decisions] | None = None
        for _ in range(REJECTIONS):
            drawn = canonical(self.problem.space, self.problem.space.sample(rng))
            excess = self.excess(drawn)
            if excess <= 0 and self.problem.key(drawn) not in self.seen:
                self.note(drawn)
                return dict(drawn)
            if nearest is None or excess < nearest[0]:
                nearest = (excess, drawn)
        return self.walk(nearest, rng) if nearest else None

    def walk(self, start: tuple[float, Decisions], rng: np.random.Generator) -> dict[str, Value] | None:
        """From ``start``, (excess, decisions), by single mutations that never exceed the limits more, to something new
        within them, noted; None if that was not reached."""
        excess, current = start
        for _ in range(40 * len(self.problem.space.choices)):
            step = canonical(self.problem.space, mutate(self.problem.space, current, rng))
            cost = self.excess(step)
            if cost <= 0 and self.problem.key(step) not in self.seen:
                self.note(step)
                return dict(step)
            if cost <= max(excess, 0.0):
                excess, current = cost, step
        return None

    def accept(self, drawn: Decisions) -> dict[str, Value] | None:
        """``drawn``, canonical and noted, if it is new and feasible."""
        decisions = canonical(self.problem.space, drawn)
        if not self.problem.feasible(decisions) or self.problem.key(decisions) in self.seen:
            return None
        self.note(decisions)
        return dict(decisions)

    def excess(self, decisions: Decisions) -> float:
        """How far what is known before training exceeds its limits, relatively; ≤ 0 is within."""
        return self.problem.objective.excess(self.problem.price(decisions))
