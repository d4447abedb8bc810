"""Which cheap evaluation orders candidates as the full one does: measured on a sample of networks, as in EcoNAS.

Every network of the sample is trained in full and under each proxy; of each proxy, Spearman's rank correlation with the
full scores and the speed-up are reported (arXiv 2001.01233). Evaluations are kept in a file, so a study that was
stopped goes on, and a larger one takes over what a smaller one found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.progress import Progress
from hwnas.search.evaluators.cached import Cached
from hwnas.search.problem import decisions_key
from hwnas.search.ranks import spearman, spearman_interval
from hwnas.search.strategy import Request
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import canonical

KIND = "hwnas-proxy-study"
FULL = "full"
ENOUGH = 0.8
"""A proxy is recommended if it ranks at least so well, the fastest of those that do."""

ZeroScore = Callable[[Decisions], float]


@dataclass(frozen=True)
class Row:
    """One cheap evaluation: how it ranks ``nets`` networks, and how much faster than the full training it is.

    ``spearman`` is None where fewer than three could be compared. ``interval`` holds nine tenths of bootstrap
    resamples. ``seconds`` is the mean of one evaluation.
    """

    name: str
    spearman: float | None
    interval: tuple[float, float]
    speedup: float
    seconds: float
    nets: int


@dataclass(frozen=True)
class Study:
    """The rows of the proxies and of the zero-cost scores, and every network's scores."""

    full_seconds: float
    proxies: tuple[Row, ...]
    zero_cost: tuple[Row, ...]
    scores: tuple[Mapping[str, Any], ...]

    @property
    def recommended(self) -> str | None:
        """The fastest proxy that ranks well enough."""
        good = [row for row in self.proxies if row.spearman is not None and row.spearman >= ENOUGH - 1e-9]
        return max(good, key=lambda row: row.speedup).name if good else None

    def to_dict(self) -> dict[str, Any]:
        """A JSON document; facts about what was studied are the caller's to add."""
        return {
            "kind": KIND,
            "nets": len(self.scores),
            "full_seconds": self.full_seconds,
            "proxies": [asdict(row) for row in self.proxies],
            "zero_cost": [asdict(row) for row in self.zero_cost],
            "recommended": self.recommended,
            "enough": ENOUGH,
            "scores": list(self.scores),
        }


def sample_nets(
    space: SearchSpace, count: int, rng: np.random.Generator, allowed: Callable[[Decisions], bool]
) -> list[dict[str, Any]]:
    """``count`` different random genotypes that are ``allowed``; a HwnasError where 200 draws for each do not suffice.

    The first ones are the same whatever ``count`` is.
    """
    found: dict[str, dict[str, Any]] = {}
    for _ in range(200 * count):
        decisions = canonical(space, space.sample(rng))
        if allowed(decisions):
            found.setdefault(decisions_key(space, decisions), decisions)
        if len(found) == count:
            return list(found.values())
    raise HwnasError(
        f"of {200 * count} random genotypes of {space.name} {len(found)} are different and within the limits, "
        f"not {count}",
        "study fewer networks, or raise the limits",
    )


def run_study(
    nets: Sequence[Decisions],
    full: Cached,
    proxies: Mapping[str, Cached],
    zero_cost: Mapping[str, ZeroScore],
    *,
    progress: Progress,
    seed: int,
    clock: Callable[[], float],
) -> Study:
    """Evaluate every network in full, under each proxy and by each score, network by network."""
    evaluators = {FULL: full, **proxies}
    scores: list[dict[str, Any]] = []
    seconds: dict[str, list[float]] = {name: [] for name in (*evaluators, *zero_cost)}
    with progress.task("proxy study", float(len(nets) * len(evaluators))) as task:
        for number, decisions in enumerate(nets):
            found: dict[str, float | None] = {}
            for place, (name, evaluator) in enumerate(evaluators.items()):
                request = Request(decisions, number)
                outcome = evaluator.evaluate(request)
                found[name] = outcome.values["miou"] if outcome.status == "ok" else None
                kept = evaluator.kept(request)
                if kept is not None and outcome.status == "ok":
                    seconds[name].append(kept.seconds)
                note = f"{name}: {outcome.note or format(outcome.values.get('miou', 0), '.4f')}"
                task.update(float(number * len(evaluators) + place + 1), note)
            for name, score in zero_cost.items():
                start = clock()
                value = score(decisions)
                found[name] = value if np.isfinite(value) else None
                seconds[name].append(clock() - start)
            scores.append({"decisions": dict(decisions), "scores": found})
    if sum(each["scores"][FULL] is not None for each in scores) < 3:
        raise HwnasError(
            "fewer than three networks could be trained in full, so no order can be compared",
            "study more networks, or look at the notes in the evaluations file",
        )
    full_s = float(np.mean(seconds[FULL]))
    rng = np.random.default_rng([seed, 3])

    def row(name: str) -> Row:
        pairs = [
            (each["scores"][name], each["scores"][FULL])
            for each in scores
            if each["scores"][name] is not None and each["scores"][FULL] is not None
        ]
        cheap, whole = [a for a, _ in pairs], [b for _, b in pairs]
        mean_s = float(np.mean(seconds[name])) if seconds[name] else float("inf")
        interval = spearman_interval(cheap, whole, rng) if len(pairs) >= 3 else (-1.0, 1.0)
        return Row(name, spearman(cheap, whole), interval, full_s / max(mean_s, 1e-9), mean_s, len(pairs))

    return Study(full_s, tuple(map(row, proxies)), tuple(map(row, zero_cost)), tuple(scores))
