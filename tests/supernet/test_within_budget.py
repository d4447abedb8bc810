"""Samplers stay within the budget, wide apart, and say what is impossible."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwnas.errors import BudgetError
from hwnas.spaces.base import SPACES, Choice, Decisions
from hwnas.spaces.decisions import canonical, uniform_decisions
from hwnas.supernet.prices import fastest_of, remembered
from hwnas.supernet.samplers.uniform import Uniform
from hwnas.supernet.samplers.within_budget import WithinBudget


class Widths:
    """Twenty widths from 1 to 8, the last one only where the first is not 1. The price is their sum."""

    name = "widths"
    choices = tuple(
        Choice(f"w{i}", tuple(range(1, 9)), {"w0": tuple(range(2, 9))} if i == 19 else {}) for i in range(20)
    )

    def decode(self, decisions):
        raise NotImplementedError

    def sample(self, rng):
        return uniform_decisions(self, rng)


SPACE = Widths()


def price(decisions):
    return float(sum(decisions.values()))


@pytest.mark.parametrize("limit_ms", [95.0, 45.0, 24.0])
def test_paths_are_within_the_budget_and_canonical(limit_ms):
    rng = np.random.default_rng(0)
    sampler = WithinBudget(SPACE, price, limit_ms, rng)
    assert bool(sampler.chains) == (limit_ms < 90)
    paths = sampler.paths(100, rng)
    assert all(price(path) <= limit_ms for path in paths)
    assert all(path == canonical(SPACE, path) for path in paths)
    assert len({tuple(path.items()) for path in paths}) > (60 if limit_ms > 30 else 30)


def test_rare_feasible_paths_still_take_every_option_of_a_choice():
    rng = np.random.default_rng(0)
    paths = WithinBudget(SPACE, price, 45.0, rng).paths(600, rng)
    assert {path["w3"] for path in paths} >= set(range(1, 7))
    assert np.mean([price(path) for path in paths]) > 35  # near the budget, where most feasible genotypes are


def test_error_names_the_fastest_latency():
    with pytest.raises(BudgetError, match="the fastest found takes 19 ms"):
        WithinBudget(SPACE, price, 10.0, np.random.default_rng(0))


@pytest.mark.parametrize("limit_ms", [0.0, -1.0, float("nan")])
def test_error_on_a_budget_that_is_not_positive(limit_ms):
    with pytest.raises(BudgetError):
        WithinBudget(SPACE, price, limit_ms, np.random.default_rng(0))


def test_state_is_json_and_goes_on_exactly():
    sampler = WithinBudget(SPACE, price, 45.0, np.random.default_rng(0))
    sampler.paths(5, np.random.default_rng(1))
    state = json.loads(json.dumps(sampler.state()))
    other = WithinBudget(SPACE, price, 45.0, np.random.default_rng(5))
    other.restore(state)
    assert sampler.paths(20, np.random.default_rng(2)) == other.paths(20, np.random.default_rng(2))


def test_fastest_of_descends_to_the_bottom():
    start = SPACE.sample(np.random.default_rng(0))
    decisions, cost = fastest_of(SPACE, price, start)
    assert cost == 19.0
    assert "w19" not in decisions


def test_prices_are_remembered():
    asked = []
    priced = remembered(lambda decisions: asked.append(decisions) or 1.0)
    assert priced({"a": 1}) == priced({"a": 1}) == 1.0
    assert len(asked) == 1


def test_uniform_gives_canonical_paths():
    paths = Uniform(SPACE).paths(10, np.random.default_rng(0))
    assert all(path == canonical(SPACE, path) for path in paths)


def test_a_known_genotype_is_gone_on_from_where_none_is_led_to_the_budget() -> None:
    """One genotype alone is cheap, and nothing on the way to it is cheaper: no descent finds it."""
    space = SPACES.get("realtime")
    rng = np.random.default_rng(0)
    known = canonical(space, space.sample(rng))

    def price(decisions: Decisions) -> float:
        return 1.0 if decisions == known else 10.0

    with pytest.raises(BudgetError):
        WithinBudget(space, price, 2.0, np.random.default_rng(1))
    sampler = WithinBudget(space, price, 2.0, np.random.default_rng(1), known=known)
    assert sampler.paths(3, rng) == [known] * 3
