"""Is the budget satisfiable? Answered before a search, from prices alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from hwnas.errors import BudgetError
from hwnas.search.objective import Budget
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import canonical

Price = Callable[[Decisions], Mapping[str, float]]


@dataclass(frozen=True)
class CostRange:
    """A cost over a space. ``lowest`` and ``highest`` are the extremes found by descent from the extreme samples, one
    choice at a time; ``median`` and ``share`` (of samples within the limit) are of ``samples`` random candidates."""

    metric: str
    lowest: float
    median: float
    highest: float
    share: float
    samples: int
    cheapest: Decisions = field(hash=False)


def satisfiable(
    space: SearchSpace, price: Price, budget: Budget, rng: np.random.Generator, samples: int = 1000
) -> CostRange:
    """The range of predicted median latency in the space, in ms; a BudgetError if not even the fastest meets it."""
    found = cost_range(space, price, rng, samples, metric="latency_ms", limit=budget.p50_ms)
    if found.lowest > budget.p50_ms:
        fastest = found.lowest * (budget.latency_ms / budget.p50_ms)
        raise BudgetError(
            f"nothing in the space {space.name} can meet {budget}: the fastest is {fastest:.2f} ms",
            f"raise the budget to {fastest * 1.1:.2f} ms or more, or choose a smaller --size",
        )
    return found


def cost_range(
    space: SearchSpace, price: Price, rng: np.random.Generator, samples: int, *, metric: str, limit: float
) -> CostRange:
    """Lowest, median and highest ``metric`` in the space."""
    drawn = [canonical(space, space.sample(rng)) for _ in range(max(samples, 1))]
    costs = np.array([price(decisions)[metric] for decisions in drawn])
    lowest, cheapest = _descend(space, drawn[int(costs.argmin())], lambda d: price(d)[metric], rng)
    highest, _ = _descend(space, drawn[int(costs.argmax())], lambda d: -price(d)[metric], rng)
    share = float((costs <= limit).mean())
    return CostRange(metric, lowest, float(np.median(costs)), -highest, share, len(drawn), cheapest)


def _descend(
    space: SearchSpace, start: Decisions, cost: Callable[[Decisions], float], rng: np.random.Generator
) -> tuple[float, Decisions]:
    """Change one choice at a time to its cheapest option until no change helps. Options that activate other choices
    get those choices from a random draw."""
    best, best_cost = dict(start), cost(start)
    improved = True
    while improved:
        improved = False
        for choice in space.choices:
            if choice.name not in best:
                continue
            for option in choice.options:
                if option == best.get(choice.name):
                    continue
                trial = canonical(space, {**_everything(space, rng), **best, choice.name: option})
                if (trial_cost := cost(trial)) < best_cost:
                    best, best_cost, improved = dict(trial), trial_cost, True
                if choice.name not in best:
                    break
    return best_cost, best


def _everything(space: SearchSpace, rng: np.random.Generator) -> dict[str, Value]:
    """An option for every choice, active or not."""
    return {choice.name: choice.options[int(rng.integers(len(choice.options)))] for choice in space.choices}
