"""Are the limits satisfiable? Answered before a search, from prices alone: what a space costs, and what is within."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from hwnas.errors import BudgetError
from hwnas.search.objective import Budget, Objective
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, size, uniform_draw

Floats = np.ndarray[Any, np.dtype[np.float64]]

SAMPLES = 10_000
ENOUGH = 8
"""Samples for each genotype of a space so small that fewer than ``SAMPLES`` see nearly all of it."""
SLOW_SAMPLES = 500
"""For costs for which every network is built."""


class Costs(Protocol):
    """Prices many candidates at once."""

    @property
    def names(self) -> Sequence[str]: ...

    def slow(self, name: str) -> bool:
        """Whether every network is built to tell that cost."""

    def of_many(self, decisions: Sequence[Decisions], names: Sequence[str]) -> Mapping[str, Floats]: ...


@dataclass(frozen=True)
class CostRange:
    """A cost over a space. ``median`` and ``share`` (of samples within ``limit``, if there is one) are of ``samples``
    random candidates; ``lowest`` and ``highest`` are the extremes found from the extreme samples by descent, one choice
    at a time."""

    metric: str
    lowest: float
    median: float
    highest: float
    samples: int
    limit: float | None
    share: float | None
    cheapest: Decisions = field(hash=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON, without the cheapest candidate; null for what has no price."""
        found = {name: getattr(self, name) for name in ("lowest", "median", "highest", "samples", "limit", "share")}
        return {
            name: None if value is not None and not math.isfinite(value) else value for name, value in found.items()
        }


@dataclass(frozen=True)
class Satisfiable:
    """What limits leave of a space: each cost's range, and the share of ``samples`` within all limits at once."""

    ranges: Mapping[str, CostRange] = field(hash=False)
    share: float
    within: Decisions = field(hash=False)
    """A candidate within all limits."""

    def to_dict(self) -> dict[str, Any]:
        """JSON: ``costs`` by name, and ``share``."""
        return {"costs": {name: each.to_dict() for name, each in self.ranges.items()}, "share": self.share}


def satisfiable(
    space: SearchSpace,
    costs: Costs,
    objective: Objective,
    rng: np.random.Generator,
    *,
    budgets: Mapping[str, Budget] | None = None,
    samples: int = SAMPLES,
) -> Satisfiable:
    """The ranges of all ``costs``; a BudgetError if nothing is within the objective's limits on them.

    ``budgets`` are the latency budgets that limits were made of, by cost, so that an error speaks of what was asked
    for. The error names the floor of each limit that cannot be met, and of limits that contradict one another the
    candidate that comes nearest to them.
    """
    draw = uniform_draw(space)
    count = max(1, min(samples, ENOUGH * size(space)))
    drawn = [canonical(space, draw(rng)) for _ in range(count)]
    limits = {name: limit for name, limit in objective.limits.items() if name in costs.names}
    ranges = {name: _range(space, costs, name, limits.get(name), drawn, rng) for name in costs.names}
    _refuse_floors(space, ranges, budgets or {})
    share, within = _together(space, costs, limits, drawn, ranges, rng)
    return Satisfiable(ranges, share, within)


def _range(
    space: SearchSpace,
    costs: Costs,
    name: str,
    limit: float | None,
    drawn: Sequence[Decisions],
    rng: np.random.Generator,
) -> CostRange:
    some = drawn[:SLOW_SAMPLES] if costs.slow(name) else drawn
    values = costs.of_many(some, (name,))[name]

    def cost(many: Sequence[Decisions]) -> Floats:
        return costs.of_many(many, (name,))[name]

    finite = np.where(np.isfinite(values), values, -np.inf)
    lowest, cheapest = descend(space, some[int(values.argmin())], cost, rng)
    highest, _ = descend(space, some[int(finite.argmax())], lambda many: -_finite(cost(many)), rng)
    share = None if limit is None else float((values <= limit).mean())
    return CostRange(name, lowest, float(np.median(values)), -highest, len(some), limit, share, cheapest)


def _finite(values: Floats) -> Floats:
    """What has no price is not the dearest."""
    return np.where(np.isfinite(values), values, -np.inf)


def _refuse_floors(space: SearchSpace, ranges: Mapping[str, CostRange], budgets: Mapping[str, Budget]) -> None:
    """A BudgetError for limits that nothing in the space keeps, each by itself."""
    over = [each for each in ranges.values() if each.limit is not None and each.lowest > each.limit]
    if not over:
        return
    said = [_floor(each, budgets.get(each.metric)) for each in over]
    raise BudgetError(
        f"nothing in the space {space.name} can meet {'; or '.join(wanted for wanted, _, _ in said)}: "
        + "; ".join(f"the {word} is {floor}" for _, word, floor in said),
        f"raise {'the budget' if len(over) == 1 and over[0].metric in budgets else 'the limits'} above that, "
        "or choose a smaller --size",
    )


def _floor(found: CostRange, budget: Budget | None) -> tuple[str, str, str]:
    """(what was asked for, fastest or lowest, the floor) in words."""
    if budget is None:
        return f"{found.metric} ≤ {found.limit:.6g}", "lowest", f"{found.lowest:.6g}"
    fastest = found.lowest * (budget.latency_ms / budget.p50_ms)
    by = found.metric.partition("@")[2]
    return f"{budget}{f' by {by}' if by else ''}", "fastest", f"{fastest:.2f} ms"


def _together(
    space: SearchSpace,
    costs: Costs,
    limits: Mapping[str, float],
    drawn: Sequence[Decisions],
    ranges: Mapping[str, CostRange],
    rng: np.random.Generator,
) -> tuple[float, Decisions]:
    """The share of the samples within all limits, and one that is; a BudgetError if the limits contradict another."""
    if not limits:
        return 1.0, drawn[0]
    names = tuple(limits)
    some = drawn[:SLOW_SAMPLES] if any(map(costs.slow, names)) else drawn

    def excess(many: Sequence[Decisions]) -> Floats:
        values = costs.of_many(many, names)
        over: Floats = np.max([values[name] / limits[name] - 1 for name in names], axis=0)
        return over

    over = excess(some)
    share, nearest = float((over <= 0).mean()), some[int(over.argmin())]
    if share > 0:
        return share, nearest
    starts = [nearest, *(ranges[name].cheapest for name in names)]
    found = [descend(space, start, excess, rng, stop=0.0) for start in starts]
    worst, within = min(found, key=lambda each: each[0])
    if worst <= 0:
        return share, within
    values = costs.of_many([within], names)
    there = ", ".join(f"{name} {values[name][0]:.6g} (limit {limits[name]:.6g})" for name in names)
    alone = ", ".join(f"{name} {ranges[name].lowest:.6g}" for name in names)
    raise BudgetError(
        f"nothing in the space {space.name} was found that keeps all limits at once; the nearest has {there}",
        f"raise one of them; each by itself can be as low as: {alone}",
    )


def descend(
    space: SearchSpace,
    start: Decisions,
    cost: Any,
    rng: np.random.Generator,
    *,
    stop: float = -np.inf,
) -> tuple[float, Decisions]:
    """Change one choice at a time to its cheapest option until no change helps, or ``stop`` is reached. ``cost`` takes
    many decisions. Options that activate other choices get those choices from a random draw."""
    best: dict[str, Value] = dict(start)
    best_cost = float(cost([best])[0])
    improved = True
    while improved and best_cost > stop:
        improved = False
        for choice in space.choices:
            others = [option for option in choice.options if option != best.get(choice.name)]
            if choice.name not in best or not others:
                continue
            filler = _everything(space, rng)
            steps = [canonical(space, {**filler, **best, choice.name: option}) for option in others]
            values = cost(steps)
            place = int(np.argmin(values))
            if values[place] < best_cost:
                best, best_cost, improved = dict(steps[place]), float(values[place]), True
    return best_cost, best


def _everything(space: SearchSpace, rng: np.random.Generator) -> dict[str, Value]:
    """An option for every choice, active or not."""
    return {choice.name: choice.options[int(rng.integers(len(choice.options)))] for choice in space.choices}
