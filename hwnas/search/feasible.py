"""A space whose samples are within a budget, for strategies that begin with random candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import mutate

MOVES, TRIES = 3, 20


class FeasibleSpace:
    """``space``, sampled by a few mutations from a random one of ``pool``, all of them ``feasible``.

    Where one random genotype in thousands is within a budget, drawing until one is takes minutes. Samples are spread as
    the pool is; they hold no state beyond the generator's.
    """

    def __init__(self, space: SearchSpace, pool: Sequence[Decisions], feasible: Callable[[Decisions], bool]) -> None:
        assert pool
        self.name = space.name
        self.choices: Sequence[Choice] = space.choices
        self._space = space
        self._pool = pool
        self._feasible = feasible

    def decode(self, decisions: Decisions) -> Candidate:
        return self._space.decode(decisions)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A member of the pool, ``MOVES`` feasible mutations on where ``TRIES`` suffice for them."""
        current = dict(self._pool[int(rng.integers(len(self._pool)))])
        moves = 0
        for _ in range(TRIES):
            step = mutate(self._space, current, rng)
            if self._feasible(step):
                current, moves = step, moves + 1
                if moves == MOVES:
                    break
        return current
