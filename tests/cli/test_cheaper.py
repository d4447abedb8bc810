"""Where all finalists turn out too slow, cheaper ones are tried: those that are known first, then new ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hwnas.cli.stages.cheaper import ATTEMPTS, draw_within, winner
from hwnas.cli.stages.finals import ROOM, Finalist, Measured, TooSlow
from hwnas.errors import BudgetError
from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.strategy import Outcome, Request
from hwnas.spaces.base import SPACES

MIOU = Objective("miou", {"latency_ms": 10.0})


class Rounds:
    """Finals on a machine that is so many times slower than its table says."""

    def __init__(self, slowness: float) -> None:
        self.slowness = slowness
        self.tried: list[list[float]] = []

    def winner(self, finalists, limit_ms: float, seconds: float) -> Finalist:
        self.tried.append([each.predicted_ms for each in finalists])
        for each in finalists:
            measured = Measured(each.predicted_ms, each.predicted_ms * self.slowness)
            if measured.slowest_ms <= limit_ms:
                return each
        raise TooSlow("best", limit_ms, measured.tightened_ms(each.predicted_ms, limit_ms))


def found(*latencies_ms: float) -> SimpleNamespace:
    outcomes = [
        Outcome(Request({"a": n, "b": n, "c": n}, n), {"latency_ms": latency_ms, "miou": 0.5}, "ok")
        for n, latency_ms in enumerate(latencies_ms)
    ]
    return SimpleNamespace(trials=[SimpleNamespace(outcome=outcome) for outcome in outcomes])


def drawing(*latencies_ms: float):
    """Draws these, of which none is left out that is within the limit; remembers the limits."""
    limits: list[float] = []

    def draw(limit_ms: float) -> list[Finalist]:
        limits.append(limit_ms)
        return [Finalist({"a": "new"}, each, 0.1, 0.1) for each in latencies_ms if each <= limit_ms]

    return draw, limits


def test_the_first_finalists_win_where_predictions_hold() -> None:
    rounds, (draw, limits) = Rounds(1.0), drawing()
    assert winner(rounds, found(9.0, 4.0), MIOU, 9.7, 10.0, 1.0, draw).predicted_ms == 9.0
    assert not limits


def test_cheaper_ones_that_are_known_come_first() -> None:
    rounds, (draw, limits) = Rounds(1.5), drawing(5.0)
    known = [9.0 + n / 100 for n in range(30)] + [6.0]
    assert winner(rounds, found(*known), MIOU, 9.7, 10.0, 1.0, draw).predicted_ms == 6.0
    assert not limits


def test_new_ones_are_drawn_within_what_the_machine_allows() -> None:
    rounds, (draw, limits) = Rounds(1.25), drawing(7.5, 9.0)
    assert winner(rounds, found(9.0), MIOU, 9.7, 10.0, 1.0, draw).predicted_ms == 7.5
    assert limits == [pytest.approx(ROOM * 10.0 / 1.25)]
    assert rounds.tried == [[9.0], [7.5]]


def test_error_where_nothing_is_cheap_enough() -> None:
    rounds, (draw, _) = Rounds(5.0), drawing()
    with pytest.raises(BudgetError, match="measured within 10 ms"):
        winner(rounds, found(9.0), MIOU, 9.7, 10.0, 1.0, draw)
    assert len(rounds.tried) == 1


def test_the_attempts_are_counted() -> None:
    rounds = Rounds(5.0)
    with pytest.raises(BudgetError):
        winner(rounds, found(9.0), MIOU, 9.7, 10.0, 1.0, lambda limit_ms: [Finalist({"a": "new"}, 9.0, 0.1, 0.1)])
    assert len(rounds.tried) == ATTEMPTS


def test_what_is_drawn_is_within_the_limit_and_the_best_first() -> None:
    space = SPACES.get("spos")

    def costs(decisions) -> dict[str, float]:
        return {"latency_ms": 1.0 + sum(len(str(value)) for value in decisions.values()) / 10}

    drawn_ms = [costs(space.sample(np.random.default_rng(n)))["latency_ms"] for n in range(50)]
    limit_ms = float(np.quantile(drawn_ms, 0.2))
    assert min(drawn_ms) < limit_ms < max(drawn_ms)
    field = SimpleNamespace(
        problem=Problem(space, Objective("miou", {"latency_ms": 100.0}), costs), pricing=SimpleNamespace(costs=costs)
    )
    asked: list[Request] = []

    def evaluate(request: Request) -> Outcome:
        asked.append(request)
        if len(asked) == 2:
            return Outcome(request, {}, "failed", "diverged")
        return Outcome(request, {"miou": 0.1 * len(asked)}, "ok")

    drawn = draw_within(field, Objective("miou", {"latency_ms": 100.0}), limit_ms, evaluate, 0, 5)
    assert [each.miou for each in drawn] == [pytest.approx(value) for value in (0.5, 0.4, 0.3, 0.1)]
    assert all(each.predicted_ms <= limit_ms for each in drawn)
    assert draw_within(field, Objective("miou", {"latency_ms": 100.0}), 0.5, evaluate, 0, 5) == []
