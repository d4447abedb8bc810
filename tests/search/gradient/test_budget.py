"""A budget as a constraint: the multiplier finds its weight, and repair the most probable genotype that fits."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from hwnas.errors import BudgetError, TableError
from hwnas.search.gradient.budget import AugmentedLagrangian
from hwnas.search.gradient.repair import PRICED, log_probability, repaired
from hwnas.spaces.base import Choice
from hwnas.spaces.decisions import canonical
from tests.contracts.toy_space import ToySpace


def optimum(limit_ms: float, steps: int = 400, gap: float | None = None) -> tuple[float, AugmentedLagrangian]:
    """Minimise (x - 10)² / 100 where x is the latency, and what is derived lies off it by ``gap``."""
    x, budget = torch.tensor(9.0, requires_grad=True), AugmentedLagrangian(limit_ms)
    optimizer = torch.optim.SGD([x], lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        ((x - 10).square() / 100 + budget.penalty(x)).backward()
        optimizer.step()
        budget.update(float(x.detach()))
        budget.follow(gap)
    return float(x.detach()), budget


def test_the_constraint_is_met_with_equality_where_it_binds_and_its_multiplier_is_the_price_of_it():
    found, budget = optimum(4.0)
    assert found == pytest.approx(4.0, rel=1e-3)
    assert budget.multiplier == pytest.approx(2 * 6 / 100 * 4, rel=0.02)  # the loss's slope, in units of the limit


def test_where_the_limit_does_not_bind_nothing_is_added():
    found, budget = optimum(20.0)
    assert found == pytest.approx(10.0, rel=1e-2)
    assert budget.multiplier == 0.0
    assert float(budget.penalty(torch.tensor(10.0))) == 0.0


def test_the_expectation_is_held_where_what_is_derived_would_be_at_the_limit():
    """What is derived takes a fifth less than is expected: held at the limit, it would be a fifth below it."""
    found, _ = optimum(4.0, gap=-0.2)
    assert 0.8 * found == pytest.approx(4.0, rel=1e-3)


@pytest.mark.parametrize(("gap", "allowance"), [(None, 1.0), (0.25, 0.8), (-0.9, 1.5), (9.0, 2 / 3), (math.inf, 2 / 3)])
def test_the_gap_moves_the_expectation_only_so_far(gap: float | None, allowance: float):
    budget = AugmentedLagrangian(4.0)
    budget.follow(gap)
    assert budget.allowance == pytest.approx(allowance)
    assert float(budget.penalty(torch.tensor(4.0 * allowance))) == pytest.approx(0.0)


def test_its_state_is_restored():
    _, budget = optimum(4.0, steps=50)
    budget.follow(0.1)
    twin = AugmentedLagrangian(4.0)
    (part,) = twin.parts().values()
    part.recall(next(iter(budget.parts().values())).facts())
    assert twin.multiplier == budget.multiplier > 0
    assert twin.allowance == budget.allowance != 1.0


def test_error_on_a_budget_that_is_none():
    with pytest.raises(BudgetError, match="cannot be met"):
        AugmentedLagrangian(0.0)


class SmallSpace(ToySpace):
    """Six choices of three options, one of which switches two others on."""

    @property
    def choices(self):
        conditional = {"a": (2,)}
        return [
            *(Choice(name, (0, 1, 2)) for name in "abcdef"),
            *(Choice(name, (0, 1, 2), conditional) for name in "gh"),
        ]


SMALL = SmallSpace()


def cost(decisions) -> float:
    """Not additive."""
    rank = sum((place + 1) * int(str(value)) for place, value in enumerate(decisions.values()))
    return 1.0 + rank + int(str(decisions["b"])) * int(str(decisions["c"]))


def every() -> list[dict]:
    names = [choice.name for choice in SMALL.choices]
    found = {}
    for options in itertools.product((0, 1, 2), repeat=len(names)):
        decisions = canonical(SMALL, dict(zip(names, options, strict=True)))
        found[tuple(decisions.items())] = decisions
    return list(found.values())


EVERY = every()


def random_probabilities(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {choice.name: rng.dirichlet(np.ones(len(choice.options))) for choice in SMALL.choices}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("limit_ms", [4.0, 9.0, 20.0])
def test_repair_is_the_most_probable_of_all_that_fit(seed, limit_ms):
    probabilities = random_probabilities(seed)
    derived = max(EVERY, key=lambda decisions: log_probability(SMALL, probabilities, decisions))
    best = max(
        (decisions for decisions in EVERY if cost(decisions) <= limit_ms),
        key=lambda decisions: log_probability(SMALL, probabilities, decisions),
    )
    found = repaired(SMALL, probabilities, derived, cost, limit_ms)
    assert found.latency_ms == cost(found.decisions) <= limit_ms
    assert found.log_probability == pytest.approx(log_probability(SMALL, probabilities, best))


@pytest.mark.parametrize("seed", range(10))
def test_the_beam_fits_and_is_seldom_far_from_the_best(seed):
    probabilities = random_probabilities(seed)
    derived = max(EVERY, key=lambda decisions: log_probability(SMALL, probabilities, decisions))
    found = repaired(SMALL, probabilities, derived, cost, 9.0, listed=0)
    exact = repaired(SMALL, probabilities, derived, cost, 9.0)
    assert found.latency_ms <= 9.0
    assert found.log_probability >= exact.log_probability - 1.0
    assert found == repaired(SMALL, probabilities, derived, cost, 9.0, listed=0)


def test_far_from_the_limit_many_changes_are_made_at_once():
    """Sixty choices of six options, all of the slowest, where every price means that a network is expanded."""

    class Wide(ToySpace):
        @property
        def choices(self):
            return [Choice(f"c{number}", tuple(range(6))) for number in range(60)]

    priced = 0

    def price(decisions) -> float:
        nonlocal priced
        priced += 1
        return sum(float(str(value)) * (1 + place % 3) for place, value in enumerate(decisions.values()))

    rng = np.random.default_rng(0)
    probabilities = {choice.name: rng.dirichlet(np.ones(6)) for choice in Wide().choices}
    slowest = {choice.name: 5 for choice in Wide().choices}
    found = repaired(Wide(), probabilities, slowest, price, 0.3 * price(slowest), listed=100)
    assert found.latency_ms <= 180.0
    assert priced < 2.5 * PRICED
    assert found.log_probability > bound(probabilities, 180.0) - 3.0


def bound(probabilities: dict[str, np.ndarray], limit: float) -> float:
    """No genotype within the limit is likelier: the least of the dual, by its multiplier."""
    costs = [np.arange(6) * (1 + place % 3) for place in range(len(probabilities))]
    logs = [np.log(vector) for vector in probabilities.values()]

    def dual(multiplier: float) -> float:
        return multiplier * limit + sum(
            float(np.max(log - multiplier * cost)) for log, cost in zip(logs, costs, strict=True)
        )

    return min(dual(multiplier) for multiplier in np.linspace(0, 2, 401))


def test_what_fits_is_left_as_it_was_derived():
    derived = EVERY[0]
    found = repaired(SMALL, random_probabilities(0), derived, cost, 100.0)
    assert found.decisions == derived and found.moved == 0


@pytest.mark.parametrize("listed", [0, 4000])
def test_an_option_that_was_never_wanted_is_taken_where_nothing_else_fits(listed):
    probabilities = {choice.name: np.array([0.0, 0.0, 1.0]) for choice in SMALL.choices}
    found = repaired(SMALL, probabilities, dict.fromkeys("abcdefgh", 2), cost, 1.0, listed=listed)
    assert found.decisions == dict.fromkeys("abcdef", 0)


@pytest.mark.parametrize("listed", [0, 30, 4000])
def test_repair_gets_away_from_where_two_kernels_have_no_price(listed):
    def lacking(decisions) -> float:
        return math.inf if 2 in (decisions["a"], decisions["b"]) else cost(decisions)

    probabilities = {choice.name: np.array([0.01, 0.09, 0.9]) for choice in SMALL.choices}
    derived = dict.fromkeys("abcdefgh", 2)
    found = repaired(SMALL, probabilities, derived, lacking, 15.0, listed=listed)
    assert found.latency_ms == lacking(found.decisions) <= 15.0
    with pytest.raises(BudgetError, match="the fastest found is 1 ms"):
        repaired(SMALL, probabilities, derived, lacking, 0.5, listed=listed)
    with pytest.raises(TableError, match="has no price of what was derived") as caught:
        repaired(SMALL, probabilities, derived, lambda decisions: math.inf, 15.0, listed=listed)
    assert "hwnas profile --missing" in caught.value.hint


def test_error_where_nothing_fits_says_the_floor():
    with pytest.raises(BudgetError, match="the fastest found is 1 ms") as caught:
        repaired(SMALL, random_probabilities(0), EVERY[-1], cost, 0.5, listed=50)
    assert "raise the budget" in caught.value.hint
