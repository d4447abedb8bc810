"""Decisions of any space, checked against enumeration of small ones."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.errors import HwnasError
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import (
    canonical,
    check,
    crossover,
    mutate,
    random_decisions,
    size,
    uniform_decisions,
)


class Toy:
    """Depth decides how many ops are active; one choice stands alone."""

    name = "toy"
    choices = (
        Choice("depth", (1, 2, 3)),
        Choice("op1", ("a", "b")),
        Choice("op2", ("a", "b"), {"depth": (2, 3)}),
        Choice("op3", ("a", "b", "c"), {"depth": (3,), "op2": ("a",)}),
        Choice("width", (8, 16)),
    )

    def decode(self, decisions: Decisions) -> Candidate:
        raise NotImplementedError

    def sample(self, rng: np.random.Generator) -> dict:
        return uniform_decisions(self, rng)


TOY = Toy()


def everything() -> set[tuple]:
    """All canonical decision sets of the toy, by brute force."""
    products = itertools.product(*(choice.options for choice in TOY.choices))
    names = [choice.name for choice in TOY.choices]
    return {tuple(canonical(TOY, dict(zip(names, values, strict=True))).items()) for values in products}


def test_size_equals_brute_force() -> None:
    assert size(TOY) == len(everything()) == 2 * (2 + 4 + 2 * (3 + 1))


def test_uniform_decisions_are_uniform() -> None:
    rng = np.random.default_rng(0)
    draws = 28_000
    counts = Counter(tuple(uniform_decisions(TOY, rng).items()) for _ in range(draws))
    assert set(counts) == everything()
    expected = draws / len(counts)
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 60  # 27 degrees of freedom: p < 0.0003 beyond


@pytest.mark.parametrize("space", [TOY, *(SPACES.get(name) for name in SPACES.names())], ids=lambda s: s.name)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_way_to_make_decisions_gives_canonical_valid_ones(space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_decisions(space, rng), space.sample(rng)
    for made in (a, b, mutate(space, a, rng), crossover(space, a, b, rng)):
        check(space, made)
        assert canonical(space, made) == made
    assert mutate(space, a, rng) != a


def test_mutation_changes_one_choice_beside_those_it_activates() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        before = random_decisions(TOY, rng)
        after = mutate(TOY, before, rng)
        assert sum(before[name] != after[name] for name in before.keys() & after.keys()) == 1


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ({"depth": 1, "op1": "a", "width": 8, "colour": 1}, "no choice 'colour'"),
        ({"depth": 9, "op1": "a", "width": 8}, "no option 9"),
        ({"depth": 1, "op1": "a"}, "lack the choice 'width'"),
    ],
)
def test_error_on_decisions_that_do_not_fit(decisions: dict, message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        check(TOY, decisions)
