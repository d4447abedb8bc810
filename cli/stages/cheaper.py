"""Where the best candidates turn out too slow in the engine: a tighter limit, and networks that the search did not see.

A short search on a busy machine evaluates few candidates, all of them near the budget, which is where predictions that
are a little too low lie over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hwnas.cli.stages.finals import Finalist, Finals, TooSlow, pick
from hwnas.cli.stages.searching import Field
from hwnas.search.costs import LATENCY
from hwnas.search.objective import Objective
from hwnas.search.problem import Proposer
from hwnas.search.run import SearchResult
from hwnas.search.strategy import Outcome, Request

ATTEMPTS = 4
"""Limits that are tried, the first one included."""

DRAWN = 8
"""Networks that are drawn and scored under a tighter limit, where the search has none there."""


def winner(
    rounds: Finals,
    found: SearchResult,
    objective: Objective,
    limit_ms: float,
    budget_ms: float,
    seconds: float,
    draw: Callable[[float], list[Finalist]],
) -> Finalist:
    """The winner of the finals among those of ``found`` that are predicted within ``limit_ms``.

    Where none is measured within ``budget_ms``, the limit is tightened by what the nearest was slower than predicted;
    ``draw`` gives networks within a limit that no candidate found is within. BudgetError if that does not help either.
    """
    finalists = pick(found, objective, limit_ms)
    for _ in range(ATTEMPTS - 1):
        try:
            return rounds.winner(finalists, budget_ms, seconds)
        except TooSlow as error:
            limit_ms = error.limit_ms
            known = [each for each in pick(found, objective, limit_ms) if each.predicted_ms <= limit_ms]
            finalists = known or draw(limit_ms)
            if not finalists:
                raise
    return rounds.winner(finalists, budget_ms, seconds)


def draw_within(
    field: Field, objective: Objective, limit_ms: float, evaluate: Callable[[Request], Outcome], seed: int, count: int
) -> list[Finalist]:
    """At most ``count`` random networks predicted within ``limit_ms``, as they are ``evaluated``, the best first."""
    tighter = replace(objective, limits={**objective.limits, LATENCY: limit_ms})
    proposer = Proposer(replace(field.problem, objective=tighter), seed)
    drawn: list[tuple[float, Finalist]] = []  # with scores
    for request in proposer.requests(count, proposer.sample):
        outcome = evaluate(request)
        if outcome.status != "ok":
            continue
        costs = field.pricing.costs(request.decisions)
        judged = objective.judge(replace(outcome, values={**costs, **outcome.values}))
        miou = outcome.values["miou"]
        finalist = Finalist(request.decisions, costs[LATENCY], miou, miou)
        drawn.append((objective.score(judged) or 0.0, finalist))
    return [finalist for _, finalist in sorted(drawn, key=lambda each: -each[0])]
