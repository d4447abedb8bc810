"""What genotypes cost, as path samplers see it: one number, remembered, and a descent to where it is least."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hwnas.shapes import Value
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, is_active

Price = Callable[[Decisions], float]
"""Predicted latency in milliseconds of a genotype."""
Fact = TypeVar("Fact")


def remembered(price: Callable[[Decisions], Fact]) -> Callable[[Decisions], Fact]:
    """``price`` that computes each genotype once; give it canonical decisions."""
    known: dict[tuple[tuple[str, Value], ...], Fact] = {}

    def priced(decisions: Decisions) -> Fact:
        key = tuple(decisions.items())
        if key not in known:
            known[key] = price(decisions)
        return known[key]

    return priced


def fastest_of(
    space: SearchSpace, price: Price, start: Decisions, *, stop_ms: float = 0.0
) -> tuple[dict[str, Value], float]:
    """Descend from ``start`` choice by choice to the option with the lowest price; returns the decisions and the price.

    A local optimum, reached when a whole round changes nothing; or the first genotype at ``stop_ms`` or less.
    """
    current = canonical(space, start)
    cost, changed = price(current), True
    filler = {choice.name: choice.options[0] for choice in space.choices}
    while changed and cost > stop_ms:
        changed = False
        for choice in space.choices:
            if not is_active(choice, current):
                continue
            for option in choice.options:
                step = canonical(space, {**filler, **current, choice.name: option})
                if (step_cost := price(step)) < cost:
                    current, cost, changed = step, step_cost, True
            if cost <= stop_ms:
                break
    return current, cost
