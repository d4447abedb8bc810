"""A space with fewer options: what is left of it under a budget.

Most options of a wide space cannot be had under a tight budget, or only by genotypes that give up everything else for
them. A supernet that carries no weights for them trains faster, and a search wastes no proposals on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hwnas.errors import HwnasError
from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import uniform_draw

ENOUGH = 5
"""Samples for each option of a choice that say which of them are in use."""


class NarrowedSpace:
    """``space`` with only the options in ``allowed`` (choice name → options); choices not named keep all of theirs."""

    def __init__(self, space: SearchSpace, allowed: Mapping[str, Sequence[Value]]) -> None:
        self.name = space.name
        self._space = space
        self.choices: Sequence[Choice] = tuple(_narrowed(choice, allowed) for choice in space.choices)

    def decode(self, decisions: Decisions) -> Candidate:
        return self._space.decode(decisions)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over the decisions that are left."""
        return self._draw(rng)

    @cached_property
    def _draw(self) -> Callable[[np.random.Generator], dict[str, Value]]:
        return uniform_draw(self)


def _narrowed(choice: Choice, allowed: Mapping[str, Sequence[Value]]) -> Choice:
    if choice.name not in allowed:
        return choice
    kept = tuple(option for option in choice.options if option in allowed[choice.name])
    if not kept:
        raise HwnasError(f"choice {choice.name!r} would be left without options")
    return replace(choice, options=kept)


def options_in_use(
    space: SearchSpace, samples: Sequence[Decisions], min_share: float = 0.01
) -> dict[str, tuple[Value, ...]]:
    """For each choice the options that at least ``min_share`` of the ``samples`` in which it is active have, or where
    there are many options, a tenth of an equal share.

    All options are kept where there are fewer than :data:`ENOUGH` such samples for each: what none of them has may be
    as good as the others all the same.
    """
    allowed: dict[str, tuple[Value, ...]] = {}
    for choice in space.choices:
        counts = Counter(sample[choice.name] for sample in samples if choice.name in sample)
        count, total = len(choice.options), counts.total()
        least = min(min_share, 0.1 / count) * total
        kept = tuple(option for option in choice.options if counts[option] and counts[option] >= least)
        allowed[choice.name] = kept if total >= ENOUGH * count else choice.options
    return allowed
