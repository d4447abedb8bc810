"""A space made for tests of search: eight depths of four options, one of which switches another choice on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.search.objective import Budget, Objective
from hwnas.search.problem import Problem
from hwnas.search.strategy import Outcome, Request
from hwnas.shapes import Value
from hwnas.spaces.base import Candidate, Choice, Decisions
from hwnas.spaces.decisions import random_decisions


class ToySpace:
    """``x0`` … ``x7`` in 0..3; where ``x0`` is 3, ``extra`` is a tuple to choose as well."""

    name = "toy"

    @property
    def choices(self) -> Sequence[Choice]:
        plain = [Choice(f"x{i}", (0, 1, 2, 3)) for i in range(8)]
        return [*plain, Choice("extra", ((1, 2), (3, 4)), {"x0": (3,)})]

    def decode(self, decisions: Decisions) -> Candidate:
        return Candidate(Genotype("toy", "toy", {"cell": Cell.of(["x"], [], "x")}))

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        return random_decisions(self, rng)


def depths(decisions: Decisions) -> np.ndarray:
    return np.array([decisions[f"x{i}"] for i in range(8)], dtype=float)


def price(decisions: Decisions) -> Mapping[str, float]:
    """1 ms and half a millisecond for each unit of depth; ``extra`` costs nothing. From 1 to 13 ms."""
    return {"latency_ms": 1.0 + 0.5 * float(depths(decisions).sum())}


def miou(decisions: Decisions) -> float:
    """A smooth score: deeper is better, early depths more than late ones, in neighbours that agree."""
    values = depths(decisions)
    return float((values * np.linspace(1.0, 0.3, 8)).sum() - 0.3 * np.abs(np.diff(values)).sum()) / 20


def toy_problem(budget_ms: float = 8.0) -> Problem:
    return Problem(ToySpace(), Objective.under(Budget(budget_ms)), price)


def evaluate(request: Request) -> Outcome:
    return Outcome(request, {"miou": miou(request.decisions), **price(request.decisions)})


class ToyEvaluator:
    """Counts what it evaluates."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def evaluate(self, request: Request) -> Outcome:
        self.requests.append(request)
        return Outcome(request, {"miou": miou(request.decisions)})
