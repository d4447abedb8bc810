"""A certificate of a labelled DAG that is equal exactly for isomorphic DAGs.

Colour refinement from both directions (ancestors and descendants) first; where that leaves nodes alike, the graph falls
apart into small components once everything that the colours already determine is taken out. A component that still has
nodes alike is settled by individualising each of them in turn and keeping the least certificate. Op graphs practically
never come that far, so the cost is that of a few refinements.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

Edges = Mapping[tuple[int, int], int]
"""(from, to) → a number that stands for the edge's label."""


def certificate(labels: Sequence[str], edges: Mapping[tuple[int, int], str]) -> str:
    """Hex digest of the DAG on nodes ``0 … len(labels) - 1`` up to renumbering.

    ``labels`` holds one text a node and ``edges`` one text for every (from, to) that is joined.
    """
    depth = _longest_paths(len(labels), edges)
    height = _longest_paths(len(labels), [(target, source) for source, target in edges])
    kinds = list(zip(labels, depth, height, strict=True))  # depth and height spare refinement a round for each step
    node_names = {kind: rank for rank, kind in enumerate(sorted(set(kinds)))}
    edge_names = {label: rank for rank, label in enumerate(sorted(set(edges.values())))}
    colours = {node: node_names[kind] for node, kind in enumerate(kinds)}
    ranked = {ends: edge_names[label] for ends, label in edges.items()}
    return _digest((list(node_names), list(edge_names), _canonical(colours, ranked)))


def _longest_paths(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """For every node, the number of edges of the longest path that ends in it."""
    after: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for source, target in edges:
        after[source].append(target)
        missing[target] += 1
    length = [0] * count
    ready = [node for node in range(count) if not missing[node]]
    while ready:
        node = ready.pop()
        for target in after[node]:
            length[target] = max(length[target], length[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    return length


def refine(colours: Mapping[int, int], edges: Edges) -> dict[int, int]:
    """The coarsest equitable refinement of ``colours``; the new colours are numbered independently of node numbers."""
    before: dict[int, list[tuple[int, int]]] = {node: [] for node in colours}
    after: dict[int, list[tuple[int, int]]] = {node: [] for node in colours}
    for (source, target), label in edges.items():
        before[target].append((label, source))
        after[source].append((label, target))
    current, count = dict(colours), len(set(colours.values()))
    while count < len(current):
        signatures = {
            node: (
                colour,
                tuple(sorted([(label, current[other]) for label, other in before[node]])),
                tuple(sorted([(label, current[other]) for label, other in after[node]])),
            )
            for node, colour in current.items()
        }
        rank = {signature: i for i, signature in enumerate(sorted(set(signatures.values())))}
        if len(rank) == count:
            return current
        current, count = {node: rank[signature] for node, signature in signatures.items()}, len(rank)
    return current


def _canonical(given: Mapping[int, int], edges: Edges) -> str:
    """Digest of the subgraph on the nodes of ``given`` (node → colour), edges between other nodes ignored."""
    colours = refine(given, edges)
    cells: dict[int, list[int]] = defaultdict(list)
    for node, colour in colours.items():
        cells[colour].append(node)
    uniform, rest = _split(colours, cells, edges)
    facts = (sorted((colour, given[cell[0]], len(cell)) for colour, cell in cells.items()), sorted(uniform))
    if not rest:
        return _digest((facts, []))
    parts = _components(rest)
    if len(parts) == 1 and len(parts[0]) == len(colours):
        return _digest((facts, [_individualised(colours, cells, rest)]))
    certificates = []
    for part in parts:
        inside = {ends: label for ends, label in rest.items() if ends[0] in part}
        certificates.append(_canonical({node: colours[node] for node in part}, inside))
    return _digest((facts, sorted(certificates)))


def _split(
    colours: Mapping[int, int], cells: Mapping[int, Sequence[int]], edges: Edges
) -> tuple[list[tuple[int, int, int]], Edges]:
    """(edges between two colours that join all of one with all of the other in the same way, the remaining edges).

    The first kind is fully said by the colours: (colour, colour, label).
    """
    counts: dict[tuple[int, int, int], int] = defaultdict(int)
    for (source, target), label in edges.items():
        counts[colours[source], colours[target], label] += 1
    uniform = {key for key, count in counts.items() if count == len(cells[key[0]]) * len(cells[key[1]])}
    rest = {
        (source, target): label
        for (source, target), label in edges.items()
        if (colours[source], colours[target], label) not in uniform
    }
    return list(uniform), rest


def _components(edges: Edges) -> list[set[int]]:
    """Connected components of the nodes that ``edges`` touch."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        neighbours[source].append(target)
        neighbours[target].append(source)
    found: list[set[int]] = []
    seen: set[int] = set()
    for start in neighbours:
        if start in seen:
            continue
        part, queue = {start}, [start]
        while queue:
            for other in neighbours[queue.pop()]:
                if other not in part:
                    part.add(other)
                    queue.append(other)
        seen |= part
        found.append(part)
    return found


def _individualised(colours: Mapping[int, int], cells: Mapping[int, Sequence[int]], edges: Edges) -> str:
    """The least certificate over giving one node of the smallest group of alike nodes a colour of its own."""
    _, colour = min((len(cell), colour) for colour, cell in cells.items() if len(cell) > 1)
    doubled = {node: 2 * old for node, old in colours.items()}
    return min(_canonical({**doubled, node: doubled[node] + 1}, edges) for node in cells[colour])


def _digest(facts: Iterable[object]) -> str:
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
