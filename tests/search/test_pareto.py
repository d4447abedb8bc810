"""Fronts and the volumes below them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.search.objective import Objective
from hwnas.search.pareto import front, hypervolume, non_dominated
from hwnas.search.strategy import Outcome, Request

POINTS = st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=25).map(lambda rows: np.array(rows).reshape(-1, 3))


@settings(max_examples=60, deadline=None)
@given(POINTS)
def test_front_is_exactly_what_nothing_dominates(points: np.ndarray) -> None:
    kept = non_dominated(points)
    better = [(other >= row).all() and (other > row).any() for row in points for other in points]
    dominated = np.array(better, dtype=bool).reshape(len(points), len(points)).any(axis=1)
    assert {tuple(points[index]) for index in kept} == {tuple(row) for row in points[~dominated]}
    assert len({tuple(points[index]) for index in kept}) == len(kept)


@settings(max_examples=60, deadline=None)
@given(POINTS)
def test_hypervolume_counts_the_unit_cells_below_the_points(points: np.ndarray) -> None:
    """Of whole numbers the volume is the number of unit cells that some point covers."""
    cells = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    covered = (cells[:, None, :] < points[None]).all(-1).any(1).sum() if len(points) else 0
    assert hypervolume(points.astype(float), [0.0] * 3) == pytest.approx(covered)


def outcome(number: int, miou: float, latency_ms: float, *, status: str = "ok", fidelity: float = 1.0) -> Outcome:
    return Outcome(Request({"x": 1}, number, fidelity), {"miou": miou, "latency_ms": latency_ms}, status)  # type: ignore


def test_front_of_outcomes_is_feasible_best_first_and_of_the_highest_fidelity() -> None:
    outcomes = [
        outcome(0, 0.3, 5.0),
        outcome(1, 0.5, 9.0),
        outcome(2, 0.4, 9.5),
        outcome(3, 0.9, 1.0, status="infeasible"),
        outcome(4, 0.8, 2.0, fidelity=0.3),
    ]
    found = front(outcomes, Objective(also=("latency_ms",)))
    assert [each.request.id for each in found] == [1, 0]
    assert [each.request.id for each in front(outcomes, Objective())] == [1]
    assert front([outcomes[3]], Objective()) == []
