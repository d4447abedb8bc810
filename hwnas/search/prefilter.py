"""A filter before any training: candidates whose zero-cost score is among the worst are infeasible.

It is one more cost with a limit, so that every strategy keeps to it and a resumed search decides the same. The cost is
the share of random feasible candidates that score higher. It is used only with the measured rank correlation at hand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.files import read_json
from hwnas.search.problem import Problem, Proposer
from hwnas.spaces.base import Decisions

SAMPLES = 32
"""Random feasible candidates whose scores say what is high."""
LEAST_SAMPLES = 5
LEAST_RHO = 0.3
"""A score that ranks worse than this in the study is refused."""


@dataclass(frozen=True)
class Measured:
    """What a study says of a score: Spearman's rank correlation with the full training, its interval, of how many."""

    name: str
    spearman: float
    interval: tuple[float, float]
    nets: int


def measured_score(name: str, study: Path | None, facts: Mapping[str, Any]) -> Measured:
    """What the file ``study`` of ``hwnas proxy-study --zero-cost`` says of the score ``name``.

    HwnasError without a file, for a study of other ``facts`` (space, data, size), where the score is not in it, or
    where it does not rank.
    """
    how = f"measure it: hwnas proxy-study --zero-cost {name} …, then give its study.json with --prefilter-study"
    if study is None:
        raise HwnasError(f"whether {name} ranks the candidates of this space has not been shown", how)
    document = read_json(study, "proxy study")
    if not isinstance(document, dict) or document.get("kind") != "hwnas-proxy-study":
        raise HwnasError(f"{study} is not a proxy study", how)
    for fact, value in facts.items():
        if document.get(fact) != value:
            raise HwnasError(f"the proxy study {study} is of {fact} {document.get(fact)}, not {value}", how)
    rows = {row["name"]: row for row in document.get("zero_cost", ())}
    if name not in rows:
        raise HwnasError(f"the proxy study {study} has no score {name!r}; it has: {', '.join(rows) or 'none'}", how)
    row = rows[name]
    if row["spearman"] is None:
        raise HwnasError(
            f"the proxy study {study} found no rank correlation of {name}: over {document['nets']} networks its scores "
            "or those of the trainings are all equal, or missing",
            "study more networks, or search without the pre-filter",
        )
    if row["spearman"] < LEAST_RHO or row["interval"][0] <= 0:
        raise HwnasError(
            f"{name} does not rank these networks: Spearman {row['spearman']:.2f} "
            f"({row['interval'][0]:.2f} to {row['interval'][1]:.2f}) over {document['nets']}",
            f"a pre-filter needs at least {LEAST_RHO:g}, with an interval above 0; search without it",
        )
    return Measured(name, row["spearman"], tuple(row["interval"]), document["nets"])


def prefiltered(problem: Problem, name: str, score: Callable[[Decisions], float], *, keep: float, seed: int) -> Problem:
    """``problem`` with the candidates alone that are in the best ``keep`` part by ``score``, of random feasible ones.

    Scores are computed only of candidates that are within all other limits, once each.
    """
    if not 0 < keep < 1:
        raise HwnasError(f"a pre-filter that keeps {keep:g} filters nothing or everything", "give --keep 0.5, say")
    cost = f"{name}_rank"
    known: dict[str, float] = {}

    def scored(decisions: Decisions) -> float:
        key = problem.key(decisions)
        if key not in known:
            known[key] = score(decisions)
        return known[key]

    rng = np.random.default_rng([seed, 9])
    sampler = Proposer(problem, seed)
    drawn = [sampler.sample(rng) for _ in range(SAMPLES)]
    feasible = [decisions for decisions in drawn if decisions is not None]
    if len(feasible) < LEAST_SAMPLES:
        raise HwnasError(
            f"only {len(feasible)} candidates are within the limits: there is nothing to filter",
            "search without --prefilter",
        )
    scores = sorted(scored(decisions) for decisions in feasible)

    def price(decisions: Decisions) -> Mapping[str, float]:
        costs = problem.price(decisions)
        if problem.objective.excess(costs) > 0:
            return costs
        higher = len(scores) - bisect_right(scores, scored(decisions))
        return {**costs, cost: higher / len(scores)}

    objective = replace(problem.objective, limits={**problem.objective.limits, cost: keep})
    return replace(problem, objective=objective, price=price, price_many=None)
