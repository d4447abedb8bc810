"""Gates: open decisions on the edges of a graph, and parameters that a decision chooses.

A gate is a predicate over (choice, option) pairs. Decisions make it true or false (:func:`holds`); weights over the
options of each choice, such as probabilities, give it a weight (:mod:`hwnas.ir.odds`). Which of a graph's choices are
soft, and what their options are, is the business of the space that made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from hwnas.shapes import Value


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


@lru_cache(maxsize=100_000)
def choices_of(gate: Gate) -> tuple[str, ...]:
    """Names of the choices that ``gate`` reads, each once, in order of appearance."""
    return tuple(dict.fromkeys(leaf.choice for leaf in _leaves(gate)))


def asked_of(gate: Gate, choice: str) -> tuple[Value, ...]:
    """The options of ``choice`` that ``gate`` asks for, each once, in order of appearance."""
    return tuple(dict.fromkeys(leaf.option for leaf in _leaves(gate) if leaf.choice == choice))


def _leaves(gate: Gate) -> Iterator[Is]:
    match gate:
        case Is():
            yield gate
        case Not(inner):
            yield from _leaves(inner)
        case All(gates) | Any(gates):
            for part in gates:
                yield from _leaves(part)


def _size(value: Value) -> float:
    return float(value) if isinstance(value, (bool, int, float)) else 0.0
