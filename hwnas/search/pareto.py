"""The Pareto front: what no other candidate beats in everything at once; and the volume that it dominates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from hwnas.search.objective import Objective
from hwnas.search.strategy import Outcome

Floats = np.ndarray[Any, np.dtype[np.float64]]
T = TypeVar("T")


def non_dominated(points: Floats) -> list[int]:
    """Indices of the rows of ``points`` (N, metrics; higher is better) that no row dominates, in their order.

    A row dominates another if it is nowhere lower and somewhere higher; of equal rows the first is kept.
    """
    kept: list[int] = []
    order = np.lexsort((np.arange(len(points)), *(-points.T[::-1])))  # what could dominate a row comes before it
    for index in order:
        if not any(bool((points[other] >= points[index]).all()) for other in kept):
            kept.append(int(index))
    return sorted(kept)


def front(outcomes: Sequence[Outcome], objective: Objective) -> list[Outcome]:
    """The feasible outcomes that are not dominated in ``objective.metrics``, the best in the first metric first.

    Where candidates were evaluated at several fidelities only those of the highest count.
    """
    feasible = [(outcome, objective.vector(outcome)) for outcome in outcomes if outcome.status == "ok"]
    highest = max((outcome.request.fidelity for outcome, _ in feasible), default=1.0)
    vectors = [(outcome, vector) for outcome, vector in feasible if outcome.request.fidelity == highest]
    if not vectors:
        return []
    indices = non_dominated(np.array([vector for _, vector in vectors], dtype=np.float64))
    best_first = sorted(indices, key=lambda index: vectors[index][1] or (), reverse=True)
    return [vectors[index][0] for index in best_first]


def hypervolume(points: Floats, reference: Sequence[float]) -> float:
    """The volume that ``points`` (N, metrics; higher is better) dominate above ``reference``, in the metrics' units."""
    corner = np.asarray(reference, dtype=np.float64)
    above = points[(points > corner).all(axis=1)] if len(points) else points
    if not len(above):
        return 0.0
    return _volume(above[non_dominated(above)] - corner)


def _volume(points: Floats) -> float:
    """By slices along the last metric: fit for some hundred points in few metrics."""
    if points.shape[1] == 1:
        return float(points.max())
    order = np.argsort(-points[:, -1], kind="stable")
    ends = [*points[order[1:], -1], 0.0]
    total = 0.0
    for count, (index, end) in enumerate(zip(order, ends, strict=True), start=1):
        thickness = float(points[index, -1] - end)
        if thickness > 0:
            total += thickness * _volume(points[order[:count], :-1])
    return total
