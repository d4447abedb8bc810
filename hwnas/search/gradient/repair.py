"""The last step of every gradient method: the most probable genotype within the budget.

What a relaxation leads to may be over the limit that its expectation keeps. Wanted is the genotype of the greatest
learned probability whose price is within the limit. Genotypes are listed in order of falling probability (best first
over the choices), and the first that fits is the answer, exactly. Where :data:`LISTED` partial genotypes bring none,
the way goes from the derived genotype towards the limit, each change paid in log-probability for the time that it
saves: first many at once, as long as they are needed in any case, then a beam of single ones. What that finds is
improved, by single changes and by pairs, for as long as these fit and :data:`PRICED` genotypes have not been priced: a
price takes as long as expanding a network. Where a table lacks what the derived genotype is made of, its price is
infinite, and no single change may help: the way then goes from the most probable genotype that has a price. All is
deterministic.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.errors import BudgetError, TableError
from hwnas.shapes import Value
from hwnas.spaces.base import Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, is_active
from hwnas.supernet.prices import Price, fastest_of, remembered

LISTED = 4000
BEAM, AROUND = 12, 1000
"""Width of the beam; it is narrower where its genotypes would have more than so many neighbours."""
PRICED = 3000
DRAWN = 200
"""Random genotypes, where none of those that are listed has a price."""
OPTIONS = 5
"""A change goes to one of so many likeliest options: a path through resolutions has hundreds."""
LEAST = 1e-9
"""A probability of zero counts as this one: an option that was never wanted may be what the budget needs."""


@dataclass(frozen=True)
class Repaired:
    """``log_probability`` is the natural logarithm; ``moved``: how many choices differ from what was derived."""

    decisions: dict[str, Value]
    latency_ms: float
    log_probability: float
    moved: int


def repaired(
    space: SearchSpace,
    probabilities: Mapping[str, np.ndarray],
    derived: Decisions,
    price: Price,
    limit_ms: float,
    *,
    listed: int = LISTED,
) -> Repaired:
    """``derived`` itself where it is within ``limit_ms``, else the most probable genotype that is, as far as is known.

    ``probabilities`` are over the space's own choices, independent of each other. ``price`` gives milliseconds.
    BudgetError, with the fastest latency that a descent finds, where nothing is within the limit; TableError where
    nothing that was tried has a price.
    """
    odds, counted = _Odds(space, probabilities), _Counted(price)
    start = canonical(space, derived)
    if counted(start) <= limit_ms:
        return odds.result(start, start, counted)
    begin = start if math.isfinite(counted(start)) else None
    for decisions in itertools.islice(odds.falling(listed), listed):
        if counted(decisions) <= limit_ms:
            return odds.result(decisions, start, counted)
        if begin is None and math.isfinite(counted(decisions)):
            begin = decisions
    begin = begin or _priced(space, counted)
    found = _towards(odds, _nearer(odds, begin, counted, limit_ms), counted, limit_ms)
    return odds.result(_improved(odds, found, counted, limit_ms), start, counted)


class _Counted:
    """A price that is computed once for each genotype; ``count``: for how many it was."""

    def __init__(self, price: Price) -> None:
        self.count = 0
        self._price = price
        self._known = remembered(self._fresh)

    def __call__(self, decisions: Decisions) -> float:
        return self._known(decisions)

    def _fresh(self, decisions: Decisions) -> float:
        self.count += 1
        return self._price(decisions)


class _Odds:
    """Logarithms of probabilities, and single changes of genotypes."""

    def __init__(self, space: SearchSpace, probabilities: Mapping[str, np.ndarray]) -> None:
        self.space = space
        self.logs: dict[str, dict[Value, float]] = {}
        self.likeliest: dict[str, list[Value]] = {}
        for choice in space.choices:
            shares = np.maximum(np.asarray(probabilities[choice.name], dtype=np.float64), LEAST)
            logs = np.log(shares)
            self.logs[choice.name] = dict(zip(choice.options, logs.tolist(), strict=True))
            ranked = np.argsort(-shares, kind="stable")[:OPTIONS]
            self.likeliest[choice.name] = [choice.options[place] for place in ranked.tolist()]

    def of(self, decisions: Decisions) -> float:
        return sum(self.logs[name][option] for name, option in decisions.items())

    def changed(self, decisions: Decisions) -> Iterator[dict[str, Value]]:
        """Genotypes that are one change away; choices that it activates take their likeliest options."""
        for name in decisions:
            for option in self.likeliest[name]:
                if option != decisions[name]:
                    yield self.with_options(decisions, {name: option})

    def with_options(self, decisions: Decisions, options: Decisions) -> dict[str, Value]:
        """``decisions`` with some others."""
        first = {name: likeliest[0] for name, likeliest in self.likeliest.items()}
        return canonical(self.space, {**first, **decisions, **options})

    def falling(self, expansions: int) -> Iterator[dict[str, Value]]:
        """Genotypes in order of falling probability, until ``expansions`` partial ones have been looked at.

        Best first over the choices in order. The bound of what is still open: the best option of every choice that is
        always active; the others may turn out inactive and cost nothing.
        """
        choices = self.space.choices
        bounds = [0.0]
        for choice in reversed(choices):
            best = 0.0 if choice.active_if else max(self.logs[choice.name].values())
            bounds.append(bounds[-1] + best)
        bounds.reverse()
        number = itertools.count()
        heap: list[tuple[float, int, int, float, dict[str, Value]]] = [(-bounds[0], 0, 0, 0.0, {})]
        for _ in range(expansions):
            if not heap:
                return
            _, _, place, log, partial = heapq.heappop(heap)
            place = _next_active(choices, place, partial)
            if place == len(choices):
                yield partial
                continue
            for option, cost in self.logs[choices[place].name].items():
                further = log + cost
                entry = {**partial, choices[place].name: option}
                heapq.heappush(heap, (-(further + bounds[place + 1]), next(number), place + 1, further, entry))

    def result(self, decisions: dict[str, Value], start: Decisions, price: Price) -> Repaired:
        moved = sum(decisions.get(name) != start.get(name) for name in {*decisions, *start})
        return Repaired(decisions, price(decisions), self.of(decisions), moved)


def _next_active(choices: Sequence[Choice], place: int, partial: Decisions) -> int:
    while place < len(choices) and not is_active(choices[place], partial):
        place += 1
    return place


def _priced(space: SearchSpace, price: Price) -> dict[str, Value]:
    """The fastest of some random genotypes that have a price at all."""
    rng = np.random.default_rng(0)
    best = min((canonical(space, space.sample(rng)) for _ in range(DRAWN)), key=price)
    if not math.isfinite(price(best)):
        raise TableError(
            f"the latency table has no price of what was derived in the space {space.name}, nor of {DRAWN} others",
            f"measure what it lacks: hwnas profile --missing --space {space.name}",
        )
    return best


def _nearer(odds: _Odds, start: dict[str, Value], price: Price, limit_ms: float) -> dict[str, Value]:
    """A genotype still over the limit, but only by about what one more change saves.

    Of every choice the change that costs the least probability for the time that it saves is taken, the best paid
    first, as if savings added up; and again from there, for as long as that halves what is left to save.
    """
    current = start
    while True:
        over = excess = price(current) - limit_ms
        paid = []
        for name, child, saved in _savings(odds, current, price):
            paid.append(((odds.of(current) - odds.of(child)) / saved, saved, name, child[name]))
        taken: dict[str, Value] = {}
        for _, saved, name, option in sorted(paid, key=lambda each: each[:3]):
            if name in taken:
                continue
            if saved >= excess:
                break
            taken[name] = option
            excess -= saved
        further = current
        while taken:
            further = odds.with_options(current, taken)
            if limit_ms < price(further) < price(current):
                break
            taken = dict(itertools.islice(taken.items(), len(taken) // 2))  # savings did not add up
        if not taken or price(further) - limit_ms > over / 2:
            return further if taken else current
        current = further


def _savings(odds: _Odds, decisions: dict[str, Value], price: Price) -> Iterator[tuple[str, dict[str, Value], float]]:
    """(the choice that is changed, the genotype, the milliseconds that it saves) of changes that save time."""
    before = price(decisions)
    for name in decisions:
        for option in odds.likeliest[name]:
            if option != decisions[name]:
                child = odds.with_options(decisions, {name: option})
                if (saved := before - price(child)) > 0:
                    yield name, child, saved


def _towards(odds: _Odds, start: dict[str, Value], price: Price, limit_ms: float) -> dict[str, Value]:
    """A genotype within the limit, by the changes that cost the least probability for the time that they save."""
    beam = [start]
    width = max(1, min(BEAM, AROUND // sum(1 for _ in odds.changed(start))))
    seen = {_key(start)}
    while True:
        reached: list[dict[str, Value]] = []
        ahead: list[tuple[float, int, dict[str, Value]]] = []
        for parent in beam:
            before, log = price(parent), odds.of(parent)
            for child in odds.changed(parent):
                if (key := _key(child)) in seen:
                    continue
                seen.add(key)
                saved = before - price(child)
                if price(child) <= limit_ms:
                    reached.append(child)
                elif saved > 0:
                    # what lies beyond the limit is no use
                    ahead.append(((log - odds.of(child)) / min(saved, before - limit_ms), len(ahead), child))
        if reached:
            return max(reached, key=odds.of)
        beam = [child for _, _, child in heapq.nsmallest(width, ahead)]
        if not beam:
            return _fastest(odds.space, price, start, limit_ms)


def _fastest(space: SearchSpace, price: Price, start: Decisions, limit_ms: float) -> dict[str, Value]:
    found, cost = fastest_of(space, price, start, stop_ms=limit_ms)
    if cost > limit_ms:
        raise BudgetError(
            f"nothing in the space {space.name} is within {limit_ms:.3g} ms: the fastest found is {cost:.3g} ms",
            f"raise the budget to {cost * 1.1:.3g} ms or more, or choose a smaller --size",
        )
    return found


def _improved(odds: _Odds, found: dict[str, Value], price: _Counted, limit_ms: float) -> dict[str, Value]:
    """Climb by single changes, and where none helps by a change for the better with one that makes room for it."""
    while True:
        log = odds.of(found) + 1e-12
        better = sorted((child for child in odds.changed(found) if odds.of(child) > log), key=odds.of, reverse=True)
        pairs = (second for first in better for second in odds.changed(first) if odds.of(second) > log)
        climbed = next(_fitting(better, price, limit_ms), None)
        climbed = climbed or max(_fitting(pairs, price, limit_ms), key=odds.of, default=None)
        if climbed is None:
            return found
        found = climbed


def _fitting(candidates: Iterable[dict[str, Value]], price: _Counted, limit_ms: float) -> Iterator[dict[str, Value]]:
    """Those within the limit, until too many have been priced."""
    for candidate in candidates:
        if price.count >= PRICED:
            return
        if price(candidate) <= limit_ms:
            yield candidate


def _key(decisions: Decisions) -> tuple[tuple[str, Value], ...]:
    return tuple(decisions.items())


def log_probability(space: SearchSpace, probabilities: Mapping[str, np.ndarray], decisions: Decisions) -> float:
    """The natural logarithm of the probability of canonical ``decisions``; -inf for what cannot be drawn."""
    total = 0.0
    for choice in space.choices:
        if choice.name in decisions:
            share = float(probabilities[choice.name][choice.options.index(decisions[choice.name])])
            total += math.log(share) if share > 0 else -math.inf
    return total
