"""What of a supergraph is computed when some gates are closed, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from hwnas.ir.gates import Gate
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GATED_OPS, OpGraph


@dataclass(frozen=True)
class Step:
    """A node that is computed from the inputs in ``slots``.

    ``inner`` are the steps that only it reads and that are computed with it (again, in the backward pass of a
    checkpoint). ``spent`` are the values that nothing needs after it.
    """

    node: Node
    slots: tuple[int, ...]
    inner: tuple[Step, ...] = ()
    spent: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The values that it takes from outside, each once."""
        own = {step.node.name for step in self.inner}
        sources = [source for step in self.inner for source in step.reads]
        sources += [self.node.inputs[slot] for slot in self.slots]
        return tuple(dict.fromkeys(source for source in sources if source not in own))


def plan(graph: OpGraph, closed: Set[Gate], output: str, regions: Mapping[str, str]) -> tuple[Step, ...]:
    """The steps that lead to ``output``; empty if the closed gates leave nothing of it.

    ``regions``: node → the gated sum that it is computed with (see :func:`private_regions`).
    """
    steps = _needed(graph, _there(graph, closed), output)
    inner: dict[str, list[Step]] = {}
    outer: list[Step] = []
    for step in steps:
        owner = regions.get(step.node.name)
        if owner is not None:
            inner.setdefault(owner, []).append(step)
        else:
            outer.append(replace(step, inner=tuple(inner.get(step.node.name, ()))))
    return tuple(_with_spent(outer, output))


def private_regions(graph: OpGraph) -> dict[str, str]:
    """Node → the gated ``add`` that alone reads it, directly or through other such nodes. Gated sums are in none."""
    readers: dict[str, set[str]] = {}
    nodes = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        for source in node.inputs:
            readers.setdefault(source, set()).add(node.name)
    owner: dict[str, str] = {}
    outputs = {graph.output, *graph.auxiliary}
    for node in reversed(graph.nodes):
        if node.gates or node.name in outputs:
            continue
        owners = {name if _is_sum(nodes[name]) else owner.get(name, "") for name in readers.get(node.name, ())}
        if len(owners) == 1 and "" not in owners:
            owner[node.name] = owners.pop()
    return owner


def _is_sum(node: Node) -> bool:
    return node.op == "add" and bool(node.gates)


def _there(graph: OpGraph, closed: Set[Gate]) -> dict[str, tuple[int, ...]]:
    """Node → its slots that have a value, for nodes that then have one themselves."""
    there: dict[str, tuple[int, ...]] = {graph.input: ()}
    for node in graph.nodes:
        kept = tuple(
            slot
            for slot, source in enumerate(node.inputs)
            if source in there and not (slot in node.gates and node.gates[slot] in closed)
        )
        if kept if node.op in GATED_OPS else len(kept) == len(node.inputs):
            there[node.name] = kept
    return there


def _needed(graph: OpGraph, there: Mapping[str, tuple[int, ...]], output: str) -> list[Step]:
    if output not in there:
        return []
    needed = {output}
    steps: list[Step] = []
    for node in reversed(graph.nodes):
        if node.name in needed and node.name in there:
            needed.update(node.inputs[slot] for slot in there[node.name])
            steps.append(Step(node, there[node.name]))
    return steps[::-1]


def _with_spent(steps: list[Step], output: str) -> list[Step]:
    last = {source: place for place, step in enumerate(steps) for source in step.reads}
    spent: dict[int, list[str]] = {}
    for name, place in last.items():
        if name != output:
            spent.setdefault(place, []).append(name)
    return [replace(step, spent=tuple(spent.get(place, ()))) for place, step in enumerate(steps)]
