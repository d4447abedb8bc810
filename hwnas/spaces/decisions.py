"""What can be done with the decisions of any space: check, canonicalise, draw, mutate, cross over, count.

Decisions are *canonical* when they hold exactly the active choices, in the order of the space. All functions here
return canonical decisions, so two decision sets that mean the same are equal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.shapes import Value
from hwnas.spaces.base import Choice, Decisions, SearchSpace


def is_active(choice: Choice, decisions: Decisions) -> bool:
    """Whether ``choice`` matters under ``decisions``; a condition on an inactive (absent) choice does not hold."""
    if not choice.active_if:  # most have none, and searches ask often
        return True
    return all(decisions.get(name) in options for name, options in choice.active_if.items())


def canonical(space: SearchSpace, decisions: Decisions) -> dict[str, Value]:
    """Only the active choices, in the order of the space. Choices come after those that their conditions name."""
    kept: dict[str, Value] = {}
    for choice in space.choices:
        if is_active(choice, kept):
            if choice.name not in decisions:
                raise HwnasError(f"decisions of space {space.name} lack the choice {choice.name!r}")
            kept[choice.name] = decisions[choice.name]
    return kept


def check(space: SearchSpace, decisions: Decisions) -> None:
    """Raise HwnasError for an unknown choice, a missing one, or an option that the choice does not have."""
    by_name = {choice.name: choice for choice in space.choices}
    for name, value in decisions.items():
        if name not in by_name:
            raise HwnasError(f"space {space.name} has no choice {name!r}", f"its choices are: {', '.join(by_name)}")
        if value not in by_name[name].options:
            offered = ", ".join(map(str, by_name[name].options))
            raise HwnasError(f"choice {name!r} of space {space.name} has no option {value!r}", f"it offers: {offered}")
    canonical(space, decisions)


def random_decisions(space: SearchSpace, rng: np.random.Generator) -> dict[str, Value]:
    """Every active choice drawn uniformly. Not uniform over genotypes: see :func:`uniform_decisions`."""
    drawn: dict[str, Value] = {}
    for choice in space.choices:
        if is_active(choice, drawn):
            drawn[choice.name] = _pick(choice.options, rng)
    return drawn


def mutate(space: SearchSpace, decisions: Decisions, rng: np.random.Generator) -> dict[str, Value]:
    """One active choice changed to another of its options; choices that this activates are drawn uniformly.

    Where no active choice has another option, nothing changes.
    """
    active = [choice for choice in space.choices if choice.name in decisions and len(choice.options) > 1]
    if not active:
        return canonical(space, decisions)
    target = active[int(rng.integers(len(active)))]
    others = [option for option in target.options if option != decisions[target.name]]
    return _completed(space, {**decisions, target.name: _pick(others, rng)}, rng)


def crossover(space: SearchSpace, a: Decisions, b: Decisions, rng: np.random.Generator) -> dict[str, Value]:
    """Every choice from ``a`` or ``b`` with equal chance; choices that neither decided are drawn uniformly."""
    mixed: dict[str, Value] = {}
    for choice in space.choices:
        donors = [parent[choice.name] for parent in (a, b) if choice.name in parent]
        if donors:
            mixed[choice.name] = _pick(donors, rng)
    return _completed(space, mixed, rng)


def size(space: SearchSpace) -> int:
    """The number of canonical decision sets, exactly."""
    return math.prod(sum(count for _, count in _cases(group)) for group in _groups(space.choices))


def uniform_decisions(space: SearchSpace, rng: np.random.Generator) -> dict[str, Value]:
    """Decisions drawn uniformly over all canonical decision sets."""
    return uniform_draw(space)(rng)


def uniform_draw(space: SearchSpace) -> Callable[[np.random.Generator], dict[str, Value]]:
    """What :func:`uniform_decisions` draws, its cases counted once: for who draws often."""
    groups = []
    for group in _groups(space.choices):
        cases = list(_cases(group))
        weights = np.array([count for _, count in cases], dtype=float)
        ends = (weights / weights.sum()).cumsum()
        groups.append(([setting for setting, _ in cases], ends / ends[-1]))

    def draw(rng: np.random.Generator) -> dict[str, Value]:
        fixed: dict[str, Value] = {}
        for settings, ends in groups:
            fixed.update(settings[int(ends.searchsorted(rng.random(), side="right"))])  # as rng.choice, and quicker
        return _completed(space, fixed, rng)

    return draw


def decisions_from_json(document: Mapping[str, Any]) -> dict[str, Value]:
    """Decisions as they were before they became JSON, which has no tuples."""
    return {str(name): _frozen(value) for name, value in document.items()}


def _frozen(value: Any) -> Value:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _completed(space: SearchSpace, decisions: Decisions, rng: np.random.Generator) -> dict[str, Value]:
    complete: dict[str, Value] = {}
    for choice in space.choices:
        if is_active(choice, complete):
            complete[choice.name] = decisions[choice.name] if choice.name in decisions else _pick(choice.options, rng)
    return complete


def _pick(options: Sequence[Value], rng: np.random.Generator) -> Value:
    return options[int(rng.integers(len(options)))]


def _groups(choices: Sequence[Choice]) -> list[list[Choice]]:
    """Choices split into groups that no condition connects, so that counts multiply."""
    group_of: dict[str, list[Choice]] = {}
    for choice in choices:
        merged = [choice]
        for name in choice.active_if:
            if group_of[name] is not group_of.get(choice.name):
                merged = group_of[name] + [item for item in merged if item not in group_of[name]]
                for item in merged:
                    group_of[item.name] = merged
        group_of[choice.name] = merged
        for item in merged:
            group_of[item.name] = merged
    unique = {id(group): group for group in group_of.values()}
    order = {choice.name: i for i, choice in enumerate(choices)}
    return [sorted(group, key=lambda choice: order[choice.name]) for group in unique.values()]


def _cases(group: Sequence[Choice]) -> Iterator[tuple[dict[str, Value], int]]:
    """Each setting of the choices that conditions name, with the number of ways to decide the rest."""
    named = {name for choice in group for name in choice.active_if}
    roots = [choice for choice in group if choice.name in named]
    leaves = [choice for choice in group if choice.name not in named]
    seen: set[tuple[tuple[str, Value], ...]] = set()
    for options in itertools.product(*(choice.options for choice in roots)):
        setting: dict[str, Value] = {}
        for choice, option in zip(roots, options, strict=True):
            if is_active(choice, setting):
                setting[choice.name] = option
        if (key := tuple(setting.items())) not in seen:
            seen.add(key)
            yield setting, math.prod(len(leaf.options) for leaf in leaves if is_active(leaf, setting))
