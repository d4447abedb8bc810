"""What gates weigh, given weights over the options of each choice: by decision diagrams, which gates have in common.

A diagram asks one choice at a time; options that lead to the same are one edge, and equal parts of all diagrams are one
node (Bryant, IEEE Trans. Computers 35(8), 1986, for choices of several options). Weighing takes one product and one sum
for each edge, where enumerating the joint options of a gate of FasterSeg's ways takes thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any as Anything
from typing import TypeAlias

from hwnas.ir.gates import All, Any, Gate, Is, Not, asked_of, choices_of
from hwnas.shapes import Value

Weights: TypeAlias = "Mapping[str, Mapping[Value, Anything]]"
"""Choice → option → weight, a number or a tensor of no dimensions."""
Total: TypeAlias = "Callable[[str, tuple[Value, ...]], Anything]"
"""(Choice, some of its options) → the sum of their weights."""


@dataclass(frozen=True, eq=False)
class Node:
    """Where ``choice`` is asked; ``edges`` lead from options, ``rest`` from all others. Equal nodes are one object."""

    choice: str
    edges: tuple[tuple[Value, Diagram], ...]
    rest: Diagram


Diagram: TypeAlias = "Node | bool"


def probability(gate: Gate, weights: Weights) -> Anything:
    """The weight of ``gate``: the sum, over all joint options of its choices for which it holds, of the product of
    their weights. Where the weights of a choice are probabilities and choices are independent: its probability.

    Numbers give a number and tensors a tensor, differentiable in them. Choices that do not matter any more once others
    are decided are taken to have weights that sum to 1. A choice without weights counts as undecided: what asks for it
    is false.
    """

    def total(choice: str, options: tuple[Value, ...]) -> Anything:
        first, *others = (weights[choice][option] for option in options)
        return sum(others, start=first)

    return Odds({name: tuple(options) for name, options in weights.items()}, total).of(gate)


class Odds:
    """:func:`probability` of many gates under the same weights: what they have in common is weighed once.

    ``options`` are those of each choice that has weights, ``total`` sums the weights.
    """

    def __init__(self, options: Mapping[str, tuple[Value, ...]], total: Total) -> None:
        self._options, self._total = options, total
        self._totals: dict[tuple[str, tuple[Value, ...]], Anything] = {}
        self._known: dict[Node, Anything] = {}

    def of(self, gate: Gate) -> Anything:
        """The weight of ``gate``; a plain 1.0 or 0.0 where nothing decides it."""
        return self._value(diagram(gate))

    def _value(self, node: Diagram) -> Anything:
        if isinstance(node, bool):
            return float(node)
        if node not in self._known:
            self._known[node] = self._weighed(node)
        return self._known[node]

    def _weighed(self, node: Node) -> Anything:
        options = self._options.get(node.choice, ())
        if not options:
            return self._value(node.rest)
        parts = []
        for child, leading in _ways(node, options):
            weight = self._sum(node.choice, leading)
            parts.append(weight if child is True else weight * self._value(child))
        return sum(parts[1:], start=parts[0]) if parts else 0.0

    def _sum(self, choice: str, options: tuple[Value, ...]) -> Anything:
        key = (choice, options)
        if key not in self._totals:
            self._totals[key] = self._total(choice, options)
        return self._totals[key]


@lru_cache(maxsize=100_000)
def diagram(gate: Gate) -> Diagram:
    """The diagram of ``gate``, which asks choices in the order of their appearance."""
    simple = _decided(gate, None, None)
    return simple if isinstance(simple, bool) else _asked(simple)


@lru_cache(maxsize=100_000)
def _asked(gate: Gate) -> Diagram:
    choice = choices_of(gate)[0]
    below = {option: _below(gate, choice, option) for option in asked_of(gate, choice)}
    rest = _below(gate, choice, _OTHER)
    edges = tuple((option, child) for option, child in below.items() if child is not rest)
    return _node(choice, edges, rest) if edges else rest


def _below(gate: Gate, choice: str, option: Anything) -> Diagram:
    decided = _decided(gate, choice, option)
    return decided if isinstance(decided, bool) else _asked(decided)


@lru_cache(maxsize=100_000)
def _node(choice: str, edges: tuple[tuple[Value, Diagram], ...], rest: Diagram) -> Node:
    return Node(choice, edges, rest)


@lru_cache(maxsize=100_000)
def _ways(node: Node, options: tuple[Value, ...]) -> tuple[tuple[Diagram, tuple[Value, ...]], ...]:
    """Each diagram behind ``node`` that is not plainly false, with the options that lead there."""
    leads, edges = dict[Diagram, list[Value]](), dict(node.edges)
    for option in options:
        leads.setdefault(edges.get(option, node.rest), []).append(option)
    return tuple((child, tuple(leading)) for child, leading in leads.items() if child is not False)


_OTHER = object()
"""An option that nobody asks for."""


def _decided(gate: Gate, choice: str | None, option: Anything) -> Gate | bool:
    """``gate`` where ``choice`` has ``option``, without what has become plain."""
    match gate:
        case Is(name, wanted):
            return gate if name != choice else bool(option == wanted)
        case Not(inner):
            found = _decided(inner, choice, option)
            return not found if isinstance(found, bool) else Not(found)
        case All(gates):
            return _joined(gates, choice, option, All, empty=True)
        case Any(gates):
            return _joined(gates, choice, option, Any, empty=False)


def _joined(
    gates: Sequence[Gate], choice: str | None, option: Anything, join: Callable[..., Gate], *, empty: bool
) -> Gate | bool:
    kept: list[Gate] = []
    for gate in gates:
        found = _decided(gate, choice, option)
        if found is (not empty):
            return not empty
        if not isinstance(found, bool):
            kept.append(found)
    return kept[0] if len(kept) == 1 else join(*kept) if kept else empty
