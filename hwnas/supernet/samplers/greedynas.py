"""Greedy paths: of several that are drawn only those are trained that look best on held-out images, and good ones come
again.

You, Huang, Yang, Wang, Qian and Zhang, "GreedyNAS: Towards fast one-shot NAS with greedy supernet", CVPR 2020,
arXiv 2003.11236. As there: ten paths are drawn and five kept, after a first part of the training with uniform paths
(there 10,000 of 150,000 steps); each comes from the candidate pool with a probability that rises linearly to 0.8; the
pool keeps the best losses on a small, fixed validation set; and the training ends when hardly anything in the pool
changes.

What differs: the pool is of 50 instead of 1000, for trainings of a thousand steps, and holds what is within the budget
only; a path that is judged again has its latest loss, where MMRazor's version of it (by an author's group) keeps both,
and judges by the accuracy on a batch that is new in every round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.shapes import Value
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import decisions_from_json
from hwnas.supernet.samplers.base import SAMPLERS, Grounds, Pooled
from hwnas.supernet.samplers.within_budget import WithinBudget

Key = tuple[tuple[str, Value], ...]


class GreedyNAS:
    """``drawn`` paths are judged and the best ``kept`` of them trained, one a step, before others are drawn.

    In the first ``warmup`` of the budget paths are uniform within ``limit_ms`` and nothing is judged. From then on a
    path is drawn from the pool with a probability that rises to ``exploit`` at the end. Every ``interval`` draws the
    pool, of ``pool_size``, is compared with what it was: it has settled when no more than ``settle`` of it is new.
    """

    def __init__(
        self,
        grounds: Grounds,
        *,
        drawn: int = 10,
        kept: int = 5,
        pool_size: int = 50,
        warmup: float = 0.07,
        exploit: float = 0.8,
        interval: int = 20,
        settle: float = 0.08,
    ) -> None:
        if not (0 < kept <= drawn and pool_size > 0 and interval > 0 and 0 <= warmup < 1 and 0 <= exploit <= 1):
            raise HwnasError(
                f"greedynas cannot keep {kept} of {drawn} paths with a pool of {pool_size}, an interval of {interval}, "
                f"a warm-up of {warmup} and {exploit} of the paths from the pool",
                "it keeps at least one of those it draws; the last two are parts of 1",
            )
        self._within = WithinBudget(grounds.space, grounds.price, grounds.limit_ms, grounds.rng, known=grounds.known)
        self._price, self._budget_ms, self._judge = self._within.price, grounds.budget_ms, grounds.judge
        self._drawn, self._kept, self._pool_size = drawn, kept, pool_size
        self._warmup, self._exploit, self._interval, self._settle = warmup, exploit, interval, settle
        self._fraction = 0.0
        self._pool: list[Pooled] = []  # the best first
        self._waiting: list[dict[str, Value]] = []
        self._before: set[Key] = set()  # the pool at the last comparison
        self._rounds, self._judged, self._settled = 0, 0, False

    def paths(self, count: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        given: list[dict[str, Value]] = []
        while len(given) < count:
            if not self._waiting:
                self._waiting = self._round(rng)
            given.append(self._waiting.pop(0))
        return given

    def feedback(self, paths: Sequence[Decisions], losses: Sequence[float]) -> None:
        pass

    def advance(self, fraction: float) -> None:
        self._fraction = fraction

    @property
    def settled(self) -> bool:
        return self._settled

    @property
    def judged(self) -> int:
        return self._judged

    @property
    def from_pool(self) -> float:
        """The probability now that a path is drawn from the pool."""
        return self._exploit * max(0.0, self._fraction - self._warmup) / (1.0 - self._warmup)

    def pool(self) -> list[Pooled]:
        return list(self._pool)

    def state(self) -> dict[str, Any]:
        return {
            "within": self._within.state(),
            "pool": [[dict(each.decisions), each.loss] for each in self._pool],
            "waiting": list(self._waiting),
            "before": [dict(key) for key in sorted(self._before, key=repr)],
            "rounds": self._rounds,
            "judged": self._judged,
            "settled": self._settled,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._within.restore(state["within"])
        self._pool = [Pooled(decisions_from_json(decisions), float(loss)) for decisions, loss in state["pool"]]
        self._waiting = [decisions_from_json(each) for each in state["waiting"]]
        self._before = {_key(decisions_from_json(each)) for each in state["before"]}
        self._rounds, self._judged, self._settled = int(state["rounds"]), int(state["judged"]), bool(state["settled"])

    def _round(self, rng: np.random.Generator) -> list[dict[str, Value]]:
        """The next paths to train, the best first."""
        if self._fraction < self._warmup:
            return self._within.paths(1, rng)
        drawn = [self._draw(rng) for _ in range(self._drawn)]
        losses = self._judge.losses(drawn)
        self._judged += len(drawn)
        self._admit(drawn, losses)
        self._rounds += 1
        if self._rounds % self._interval == 0:
            self._compare()
        return [drawn[index] for index in np.argsort(losses, kind="stable")[: self._kept]]

    def _draw(self, rng: np.random.Generator) -> dict[str, Value]:
        if self._pool and rng.random() < self.from_pool:
            return dict(self._pool[int(rng.integers(len(self._pool)))].decisions)
        return self._within.paths(1, rng)[0]

    def _admit(self, paths: Sequence[Decisions], losses: Sequence[float]) -> None:
        """Put what is within the budget into the pool, by its latest loss, and let the worst fall out."""
        entries = {_key(each.decisions): each for each in self._pool}
        for path, loss in zip(paths, losses, strict=True):
            if math.isfinite(loss) and self._price(path) <= self._budget_ms:
                entries[_key(path)] = Pooled(path, loss)
        self._pool = sorted(entries.values(), key=lambda each: each.loss)[: self._pool_size]

    def _compare(self) -> None:
        now = {_key(each.decisions) for each in self._pool}
        self._settled = len(now) == self._pool_size and len(now - self._before) <= self._settle * self._pool_size
        self._before = now


def _key(decisions: Decisions) -> Key:
    return tuple(decisions.items())


SAMPLERS.register("greedynas", GreedyNAS)
