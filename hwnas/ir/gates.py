"""Gates: open decisions on the edges of a graph, and parameters that a decision chooses.

A gate is a predicate over (choice, option) pairs. Decisions make it true or false (:func:`holds`); weights over the
options of each choice, such as probabilities, give it a weight (:func:`probability`). Which of a graph's choices are
soft, and what their options are, is the business of the space that made it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any as Anything
from typing import TypeAlias

from hwnas.shapes import Value

Weights: TypeAlias = "Mapping[str, Mapping[Value, Anything]]"
"""Choice → option → weight, a number or a tensor of no dimensions."""


@dataclass(frozen=True)
class Is:
    """``choice`` has the option ``option``; false where the choice is not decided (not active)."""

    choice: str
    option: Value

    def __str__(self) -> str:
        return f"{self.choice}={self.option}"


@dataclass(frozen=True)
class All:
    """Every one of ``gates``; without any, always true."""

    gates: tuple[Gate, ...]

    def __init__(self, *gates: Gate) -> None:
        object.__setattr__(self, "gates", gates)

    def __str__(self) -> str:
        return "(" + " & ".join(map(str, self.gates)) + ")"


@dataclass(frozen=True)
class Any:
    """At least one of ``gates``; without any, never true."""

    gates: tuple[Gate, ...]

    def __init__(self, *gates: Gate) -> None:
        object.__setattr__(self, "gates", gates)

    def __str__(self) -> str:
        return "(" + " | ".join(map(str, self.gates)) + ")"


@dataclass(frozen=True)
class Not:
    """The contrary of ``gate``."""

    gate: Gate

    def __str__(self) -> str:
        return f"!{self.gate}"


Gate: TypeAlias = Is | All | Any | Not


@dataclass(frozen=True)
class Select:
    """A parameter's value for each option of ``choice``: a width, a dilation. ``values`` are (option, value) pairs."""

    choice: str
    values: tuple[tuple[Value, Value], ...]

    @classmethod
    def of(cls, choice: str, values: Mapping[Value, Value] | Sequence[Value]) -> Select:
        """From option → value, or from options that are the values themselves."""
        pairs = values.items() if isinstance(values, Mapping) else zip(values, values, strict=True)
        return cls(choice, tuple(pairs))

    @property
    def largest(self) -> Value:
        """The largest value: what the supergraph is built with."""
        return max((value for _, value in self.values), key=_size)

    def under(self, decisions: Mapping[str, Value]) -> Value:
        """The value under ``decisions``, which must decide the choice."""
        return dict(self.values)[decisions[self.choice]]


def is_one_of(choice: str, options: Sequence[Value]) -> Gate:
    """``choice`` has one of ``options``."""
    gates = [Is(choice, option) for option in options]
    return gates[0] if len(gates) == 1 else Any(*gates)


def holds(gate: Gate, decisions: Mapping[str, Value]) -> bool:
    """Whether ``gate`` is true under ``decisions``."""
    match gate:
        case Is(choice, option):
            return choice in decisions and decisions[choice] == option
        case All(gates):
            return all(holds(part, decisions) for part in gates)
        case Any(gates):
            return any(holds(part, decisions) for part in gates)
        case Not(inner):
            return not holds(inner, decisions)


def choices_of(gate: Gate) -> tuple[str, ...]:
    """Names of the choices that ``gate`` reads, each once, in order of appearance."""
    return tuple(dict.fromkeys(_names(gate)))


def probability(gate: Gate, weights: Weights) -> Anything:
    """The weight of ``gate``: the sum, over all joint options of its choices for which it holds, of the product of
    their weights. Where the weights of a choice are probabilities and choices are independent: its probability.

    Numbers give a number and tensors a tensor, differentiable in them. It is exact, also where one choice is read more
    than once; only the choices that tie parts together are enumerated. ``Not`` and ``Any`` of several choices take
    weights to sum to 1. A choice without weights counts as undecided: what asks for it is false.
    """
    names = choices_of(gate)
    if len(names) == 1:
        options = weights.get(names[0], {})
        return _total([weight for option, weight in options.items() if holds(gate, {names[0]: option})])
    if isinstance(gate, Not):
        return 1.0 - probability(gate.gate, weights)
    if isinstance(gate, Is):
        raise AssertionError("it reads one choice")
    shared = _shared(gate.gates)
    if shared is not None:
        options = weights.get(shared, {})
        if not options:
            return probability(_decided(gate, shared, {}), weights)
        return _total(
            [
                weight * probability(_decided(gate, shared, {shared: option}), weights)
                for option, weight in options.items()
            ]
        )
    parts = [probability(part, weights) for part in gate.gates]
    if isinstance(gate, All):
        return math.prod(parts, start=1.0)
    return 1.0 - math.prod((1.0 - part for part in parts), start=1.0)


def _decided(gate: Gate, name: str, decided: Mapping[str, Value]) -> Gate:
    """``gate`` with what it says of the choice ``name`` decided."""
    match gate:
        case Is(choice, _):
            return gate if choice != name else (All() if holds(gate, decided) else Any())
        case All(gates):
            return All(*(_decided(part, name, decided) for part in gates))
        case Any(gates):
            return Any(*(_decided(part, name, decided) for part in gates))
        case Not(inner):
            return Not(_decided(inner, name, decided))


def _shared(gates: Sequence[Gate]) -> str | None:
    """A choice that more than one of ``gates`` reads."""
    seen: set[str] = set()
    for gate in gates:
        for name in choices_of(gate):
            if name in seen:
                return name
        seen.update(choices_of(gate))
    return None


def _names(gate: Gate) -> Iterator[str]:
    match gate:
        case Is(choice, _):
            yield choice
        case Not(inner):
            yield from _names(inner)
        case All(gates) | Any(gates):
            for part in gates:
                yield from _names(part)


def _total(parts: Sequence[Anything]) -> Anything:
    return sum(parts[1:], start=parts[0]) if parts else 0.0


def _size(value: Value) -> float:
    return float(value) if isinstance(value, (bool, int, float)) else 0.0
