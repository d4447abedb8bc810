"""``qmc``: a scrambled Sobol sequence over the choices: random search whose candidates cover the space more evenly.

A point of the sequence gives every choice a number in [0, 1), whose part of that interval is its option; numbers of
inactive choices change nothing. Points over a limit, and those that mean a candidate proposed before, are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hwnas.search.problem import Problem, Proposer
from hwnas.search.strategy import STRATEGIES, Outcome, Request
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import canonical

POINTS = 256
"""Points of the sequence that are tried for a request before the nearest of them is walked to the budget."""

MOST_CHOICES = 21201
"""As many dimensions as the sequence is known for."""


def too_wide(problem: Problem) -> str | None:
    """The refusal of spaces that have more choices than the sequence has dimensions."""
    count = len(problem.space.choices)
    return None if count <= MOST_CHOICES else f"Sobol's sequence has {MOST_CHOICES} dimensions, not {count}"


class QuasiRandom:
    """``_place`` is where the sequence goes on; told what another life of the search proposed, it finds it there."""

    refuses = staticmethod(too_wide)

    def __init__(self, problem: Problem, *, seed: int) -> None:
        self._proposer = Proposer(problem, seed)
        self._place = 0
        self._block: tuple[int, np.ndarray] | None = None

    def ask(self, count: int) -> list[Request]:
        return self._proposer.requests(count, self._draw)

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            decisions = outcome.request.decisions
            if outcome.request.id >= self._proposer.next:
                self._go_past(decisions)
            self._proposer.hear(outcome.request)

    def state(self) -> dict[str, Any]:
        return {**self._proposer.state(), "place": self._place}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._proposer.restore(state)
        self._place, self._block = state["place"], None

    def _draw(self, rng: np.random.Generator) -> dict[str, Value] | None:
        nearest: tuple[float, Decisions] | None = None
        for _ in range(POINTS):
            drawn = self._point(self._place)
            self._place += 1
            if (accepted := self._proposer.accept(drawn)) is not None:
                return accepted
            excess = self._proposer.excess(drawn)
            if nearest is None or excess < nearest[0]:
                nearest = (excess, drawn)
        walked = self._proposer.walk(nearest, rng) if nearest is not None else None
        return walked if walked is not None else self._proposer.sample(rng)

    def _go_past(self, decisions: Decisions) -> None:
        """Behind the point that a request came from, or behind the points that were tried for it in vain."""
        for _ in range(POINTS):
            self._place += 1
            if self._point(self._place - 1) == dict(decisions):
                return

    def _point(self, place: int) -> dict[str, Value]:
        """The decisions of one point of the sequence."""
        block, within = divmod(place, POINTS)
        if self._block is None or self._block[0] != block:
            self._block = (block, self._points(block))
        space = self._proposer.problem.space
        numbers = self._block[1][within]
        chosen = {
            choice.name: choice.options[min(int(number * len(choice.options)), len(choice.options) - 1)]
            for choice, number in zip(space.choices, numbers, strict=True)
        }
        return canonical(space, chosen)

    def _points(self, block: int) -> np.ndarray:
        from torch.quasirandom import SobolEngine

        dimensions = len(self._proposer.problem.space.choices)
        engine = SobolEngine(dimensions, scramble=True, seed=self._proposer.seed)  # type: ignore[no-untyped-call]
        engine.fast_forward(block * POINTS)  # type: ignore[no-untyped-call]
        return np.asarray(engine.draw(POINTS).numpy())


STRATEGIES.register("qmc", QuasiRandom)
