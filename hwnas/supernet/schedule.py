"""What of a supergraph is computed when some gates are closed, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from hwnas.ir.gates import Gate
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GATED_OPS
from hwnas.shapes import Value


@dataclass(frozen=True)
class Step:
    """A node that is computed from the inputs in ``slots``.

    ``inner`` are the steps that only it reads and that are computed with it (again, in the backward pass of a
    checkpoint). ``tails`` are steps that only it reads and that are computed as a part of it, where that can be.
    ``spent`` are the values that nothing needs after it.
    """

    node: Node
    slots: tuple[int, ...]
    inner: tuple[Step, ...] = ()
    tails: tuple[Step, ...] = ()
    spent: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The values that it takes from outside, each once."""
        parts = (*self.inner, *self.tails)
        own = {step.node.name for step in parts}
        sources = [source for step in parts for source in step.reads]
        sources += [self.node.inputs[slot] for slot in self.slots]
        return tuple(dict.fromkeys(source for source in sources if source not in own))


@dataclass(frozen=True)
class Program:
    """The nodes of a supergraph in execution order, without those that compute what another one does.

    ``same``: node → the node that stands for it. ``regions``: node → the gated sum that it is computed with (see
    :func:`private_regions`; empty where nothing is computed again). ``fusible``: nodes that can be a sum's tails.
    """

    input: str
    nodes: tuple[Node, ...]
    same: Mapping[str, str]
    regions: Mapping[str, str]
    fusible: frozenset[str]


def without_repeats(
    nodes: Sequence[Node], stateless: Callable[[Node], bool]
) -> tuple[tuple[Node, ...], dict[str, str]]:
    """(``nodes`` without those that are equal to an earlier one, removed node → the one that stands for it).

    Equal: the same op with the same parameters on the same inputs, and ``stateless``, without weights: the poolings of
    one state on all edges that leave it.
    """
    same: dict[str, str] = {}
    first: dict[tuple[str, tuple[tuple[str, Value], ...], tuple[str, ...]], str] = {}
    kept = []
    for node in nodes:
        node = replace(node, inputs=tuple(same.get(source, source) for source in node.inputs))
        if not node.is_open and stateless(node):
            key = (node.op, tuple(node.params.items()), node.inputs)
            if key in first:
                same[node.name] = first[key]
                continue
            first[key] = node.name
        kept.append(node)
    return tuple(kept), same


def plan(program: Program, closed: Set[Gate], outputs: Set[str]) -> tuple[Step, ...]:
    """The steps that lead to ``outputs``; empty if the closed gates leave nothing of one."""
    regions = program.regions
    steps = _with_tails(_needed(program, _there(program, closed), outputs), outputs, program.fusible)
    inner: dict[str, list[Step]] = {}
    outer: list[Step] = []
    for step in steps:
        owner = regions.get(step.node.name)
        if owner is not None:
            inner.setdefault(owner, []).append(step)
        else:
            outer.append(replace(step, inner=tuple(inner.get(step.node.name, ()))))
    return tuple(_with_spent(outer, outputs))


def _with_tails(steps: Sequence[Step], outputs: Set[str], fusible: Set[str]) -> list[Step]:
    """Steps that can be a tail are put into the sum that reads them, if nothing else does."""
    reads = Counter(source for step in steps for source in (step.node.inputs[slot] for slot in step.slots))
    by_name = {step.node.name: step for step in steps}
    absorbed: set[str] = set()
    found: list[Step] = []
    for step in steps:
        if step.node.op == "add":
            sources = [step.node.inputs[slot] for slot in step.slots]
            tails = [name for name in sources if name in fusible and reads[name] == 1 and name not in outputs]
            absorbed.update(tails)
            step = replace(step, tails=tuple(by_name[name] for name in tails))
        found.append(step)
    return [step for step in found if step.node.name not in absorbed]


def private_regions(nodes: Sequence[Node], outputs: Iterable[str]) -> dict[str, str]:
    """Node → the gated ``add`` that alone reads it, directly or through other such nodes. Gated sums are in none."""
    readers: dict[str, set[str]] = {}
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        for source in node.inputs:
            readers.setdefault(source, set()).add(node.name)
    owner: dict[str, str] = {}
    kept = set(outputs)
    for node in reversed(nodes):
        if node.gates or node.name in kept:
            continue
        owners = {name if _is_sum(by_name[name]) else owner.get(name, "") for name in readers.get(node.name, ())}
        if len(owners) == 1 and "" not in owners:
            owner[node.name] = owners.pop()
    return owner


def _is_sum(node: Node) -> bool:
    return node.op == "add" and bool(node.gates)


def _there(program: Program, closed: Set[Gate]) -> dict[str, tuple[int, ...]]:
    """Node → its slots that have a value, for nodes that then have one themselves."""
    there: dict[str, tuple[int, ...]] = {program.input: ()}
    for node in program.nodes:
        kept = tuple(
            slot
            for slot, source in enumerate(node.inputs)
            if source in there and not (slot in node.gates and node.gates[slot] in closed)
        )
        if kept if node.op in GATED_OPS else len(kept) == len(node.inputs):
            there[node.name] = kept
    return there


def _needed(program: Program, there: Mapping[str, tuple[int, ...]], outputs: Set[str]) -> list[Step]:
    if not outputs <= there.keys():
        return []
    needed = set(outputs)
    steps: list[Step] = []
    for node in reversed(program.nodes):
        if node.name in needed and node.name in there:
            needed.update(node.inputs[slot] for slot in there[node.name])
            steps.append(Step(node, there[node.name]))
    return steps[::-1]


def _with_spent(steps: list[Step], outputs: Set[str]) -> list[Step]:
    last = {source: place for place, step in enumerate(steps) for source in step.reads}
    spent: dict[int, list[str]] = {}
    for name, place in last.items():
        if name not in outputs:
            spent.setdefault(place, []).append(name)
    return [replace(step, spent=tuple(spent.get(place, ()))) for place, step in enumerate(steps)]
