"""How large the shared tensors of a space must be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Choice, SearchSpace
from hwnas.spaces.decisions import is_active
from hwnas.supernet.slices import Extent, path_nodes

Needs = dict[str, tuple[int, ...]]
"""The shape of every parameter that a path uses, by the shared tensor's key."""


def extents_of(graphs: Iterable[OpGraph]) -> dict[str, Extent]:
    """The largest shape of every shared tensor over ``graphs``, by key."""
    shapes: dict[str, tuple[int, ...]] = {}
    widths: dict[str, dict[str, int]] = {}
    for graph in graphs:
        for path_node in path_nodes(graph):
            for use in path_node.uses:
                before = shapes.get(use.key, use.shape)
                assert len(before) == len(use.shape), f"{use.key} has both shapes {before} and {use.shape}"
                shapes[use.key] = tuple(map(max, before, use.shape))
                slots = widths.setdefault(use.key, {})
                for part in use.segments:
                    slots[part.slot] = max(slots.get(part.slot, 0), part.width)
    extents = {}
    for key in sorted(shapes):
        segments, offset = {}, 0
        for slot in sorted(widths[key]):
            segments[slot] = (offset, widths[key][slot])
            offset += widths[key][slot]
        shape = (shapes[key][0], offset, *shapes[key][2:]) if segments else shapes[key]
        extents[key] = Extent(shape, segments)
    return extents


def spanning_graphs(
    space: SearchSpace, input_shape: Shape, classes: int, rng: np.random.Generator, samples: int
) -> Iterator[OpGraph]:
    """Graphs of ``space`` that between them need, in all likelihood, all that any of its graphs needs.

    First every option of every choice beside the largest options of the others, found on the way. That shows which
    choices have an option that needs at least what the others need: widths and depths do, choices between op families
    do not. Then ``samples`` graphs with the former at their largest and the latter at random, so that the pairs and
    triples of options that meet in one node come together; and as many graphs of the space at random.
    """

    def graph_of(decisions: Mapping[str, Value]) -> OpGraph:
        return expand(space.decode(decisions).genotype, input_shape, classes)

    largest: dict[str, Value] = {choice.name: choice.options[-1] for choice in space.choices}
    dominant: dict[str, Value] = {}
    for choice in space.choices:
        enabled = _enabled(space, choice, largest)
        needs = []
        for option in choice.options:
            graph = graph_of({**enabled, choice.name: option})
            needs.append(_needs(graph))
            yield graph
        top = max(range(len(needs)), key=lambda place: sum(map(math.prod, needs[place].values())))
        if is_active(choice, largest):
            largest[choice.name] = choice.options[top]
        if all(_within(other, needs[top]) for other in needs):
            dominant[choice.name] = choice.options[top]
    for _ in range(samples):
        drawn = {choice.name: choice.options[int(rng.integers(len(choice.options)))] for choice in space.choices}
        yield graph_of({**drawn, **dominant})
    for _ in range(samples):
        yield graph_of(space.sample(rng))


def _needs(graph: OpGraph) -> Needs:
    return {use.key: use.shape for path_node in path_nodes(graph) for use in path_node.uses}


def _within(smaller: Needs, larger: Needs) -> bool:
    return all(
        key in larger and all(a <= b for a, b in zip(shape, larger[key], strict=True)) for key, shape in smaller.items()
    )


def _enabled(space: SearchSpace, choice: Choice, decisions: Mapping[str, Value]) -> dict[str, Value]:
    """``decisions`` changed where ``choice`` is not active so that it is, conditions of conditions included."""
    by_name = {other.name: other for other in space.choices}
    changed = dict(decisions)
    for name, options in choice.active_if.items():
        if changed[name] not in options:
            changed[name] = options[-1]
        changed = _enabled(space, by_name[name], changed)
    return changed
