"""Partial models: a pool of good ones grows choice by choice while the supernet trains, and only what continues them is
trained any more.

Li, Lin, Li, Sun, Wu, Yan and Ouyang, "Improving one-shot NAS by suppressing the posterior fading", CVPR 2020,
arXiv 1910.02543 (PC-NAS). As there: uniform paths first; then every partial model of the pool is continued by every
option of the next choice, those that no genotype within the latency limit continues are dropped, the potential of each
is the mean over random continuations within the limit, the best stay, and paths are drawn from their continuations; in
the end the pool's whole models alone are trained.

What differs: potential is a loss on held-out images here, accuracy in the paper; the parts of the training are ours
(the paper trains some epochs between two choices); and a choice that is not active in a partial model passes it by. No
code of the authors' was found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.errors import BudgetError, HwnasError
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES, Choice, Decisions, SearchSpace
from hwnas.spaces.decisions import canonical, decisions_from_json, is_active
from hwnas.spaces.narrowed import NarrowedSpace
from hwnas.supernet.prices import Price
from hwnas.supernet.samplers.base import SAMPLERS, Grounds, Pooled
from hwnas.supernet.samplers.within_budget import WithinBudget

PROBES, CHAINS, REJECTION_RATE = 4, 2, 0.5
"""How the continuations of one partial model are found: there are hundreds of those, each for some steps only."""


class PCNAS:
    """``pool_size`` partial models, judged by ``completions`` random continuations each.

    Up to ``warmup`` of the budget paths are uniform; from there to ``grown`` the pool takes in choice after choice.
    """

    def __init__(
        self,
        grounds: Grounds,
        *,
        pool_size: int = 5,
        completions: int = 4,
        warmup: float = 0.4,
        grown: float = 0.9,
    ) -> None:
        if not (pool_size > 0 and completions > 0 and 0 <= warmup < grown <= 1):
            raise HwnasError(
                f"pcnas cannot grow a pool of {pool_size} by {completions} continuations from {warmup} to {grown} of "
                "the training",
                "both numbers are at least 1, both parts between 0 and 1 and in order",
            )
        self._order = growth_order(grounds.space)
        self._space, self._price, self._budget_ms = grounds.space, grounds.price, grounds.budget_ms
        self._judge = grounds.judge
        self._uniform = WithinBudget(grounds.space, grounds.price, grounds.limit_ms, grounds.rng, known=grounds.known)
        self._pool_size, self._completions, self._warmup, self._grown = pool_size, completions, warmup, grown
        self._fraction = 0.0
        self._decided, self._judged = 0, 0
        self._partials: list[_Partial] = [_Partial(self._space, self._price, self._budget_ms, {})]

    def paths(self, count: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        if self._fraction < self._warmup:
            return self._uniform.paths(count, rng)
        while self._decided < self._due():
            self._grow(rng)
        return [self._partials[int(rng.integers(len(self._partials)))].path(rng) for _ in range(count)]

    def feedback(self, paths: Sequence[Decisions], losses: Sequence[float]) -> None:
        pass

    def advance(self, fraction: float) -> None:
        self._fraction = fraction

    @property
    def settled(self) -> bool:
        return False

    @property
    def judged(self) -> int:
        return self._judged

    @property
    def partials(self) -> list[dict[str, Value]]:
        """The decisions of the partial models so far, the best first."""
        return [dict(partial.fixed) for partial in self._partials]

    def pool(self) -> list[Pooled]:
        """The whole models; where the training was too short to grow them, a continuation of each partial one."""
        return [Pooled(each.path(_stream(each.fixed)), each.loss) for each in self._partials]

    def state(self) -> dict[str, Any]:
        return {
            "uniform": self._uniform.state(),
            "decided": self._decided,
            "judged": self._judged,
            "partials": [partial.state() for partial in self._partials],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._uniform.restore(state["uniform"])
        self._decided, self._judged = int(state["decided"]), int(state["judged"])
        self._partials = [
            _Partial.restored(self._space, self._price, self._budget_ms, each) for each in state["partials"]
        ]

    def _due(self) -> int:
        """How many choices should be decided by now."""
        part = min(1.0, (self._fraction - self._warmup) / (self._grown - self._warmup))
        return round(part * len(self._order))

    def _grow(self, rng: np.random.Generator) -> None:
        """Decide one choice more in every partial model, and keep the best."""
        choice = self._order[self._decided]
        grown: list[_Partial] = []
        for partial in self._partials:
            if not is_active(choice, partial.fixed):
                grown.append(partial)
                continue
            for option in choice.options:
                with contextlib.suppress(BudgetError):
                    fixed = {**partial.fixed, choice.name: option}
                    grown.append(_Partial(self._space, self._price, self._budget_ms, fixed))
        if not grown:  # at the very edge of the budget continuations are there that a few draws do not find
            whole = self._partials[0].path(rng)
            grown = [_Partial(self._space, self._price, self._budget_ms, whole)]
        self._decided += 1
        if len(grown) > self._pool_size or self._decided == len(self._order):
            for partial in grown:
                partial.loss = self._potential(partial, rng)
            grown = sorted(grown, key=lambda partial: partial.loss)[: self._pool_size]
        self._partials = grown

    def _potential(self, partial: _Partial, rng: np.random.Generator) -> float:
        """The mean loss of some continuations; where only one is left, its own."""
        drawn = [partial.path(rng) for _ in range(self._completions)]
        distinct = list({tuple(path.items()): path for path in drawn}.values())
        self._judged += len(distinct)
        return float(np.mean(self._judge.losses(distinct)))


class _Partial:
    """Some choices fixed, and random genotypes within the budget that continue them. BudgetError if there are none."""

    def __init__(self, space: SearchSpace, price: Price, budget_ms: float, fixed: Decisions) -> None:
        self.fixed = dict(fixed)
        self.loss = float("inf")
        self._whole: dict[str, Value] | None = None
        self._within: WithinBudget | None = None
        narrowed = NarrowedSpace(space, {name: (option,) for name, option in fixed.items()})
        rng = _stream(fixed)
        drawn = canonical(narrowed, narrowed.sample(rng))
        if all(len(choice.options) == 1 for choice in narrowed.choices if choice.name in drawn):
            if price(drawn) > budget_ms:
                raise BudgetError(f"the only continuation takes {price(drawn):.3g} ms", "raise the budget")
            self._whole = drawn
        else:
            self._within = WithinBudget(
                narrowed, price, budget_ms, rng, probes=PROBES, rejection_rate=REJECTION_RATE, chains=CHAINS
            )

    @classmethod
    def restored(cls, space: SearchSpace, price: Price, budget_ms: float, state: Mapping[str, Any]) -> _Partial:
        partial = cls(space, price, budget_ms, decisions_from_json(state["fixed"]))
        partial.loss = float("inf") if state["loss"] is None else float(state["loss"])
        if partial._within is not None:
            partial._within.restore(state["within"])
        return partial

    def state(self) -> dict[str, Any]:
        return {
            "fixed": dict(self.fixed),
            "loss": self.loss if np.isfinite(self.loss) else None,
            "within": {} if self._within is None else self._within.state(),
        }

    def path(self, rng: np.random.Generator) -> dict[str, Value]:
        if self._within is None:
            assert self._whole is not None
            return dict(self._whole)
        return self._within.paths(1, rng)[0]


def growth_order(space: SearchSpace) -> tuple[Choice, ...]:
    """The choices in an order in which each can be decided after those that its condition names.

    A space without such an order, or without a choice, is a HwnasError that names the spaces that have one.
    """
    known: set[str] = set()
    for choice in space.choices:
        late = sorted(set(choice.active_if) - known)
        if late:
            raise _unordered(space, f"its choice {choice.name!r} depends on {late[0]!r}, which is decided later")
        known.add(choice.name)
    if not known:
        raise _unordered(space, "it has no choices")
    return tuple(space.choices)


def _unordered(space: SearchSpace, why: str) -> HwnasError:
    def ordered(other: SearchSpace) -> bool:
        names = [choice.name for choice in other.choices]
        return bool(names) and all(
            set(choice.active_if) <= set(names[:place]) for place, choice in enumerate(other.choices)
        )

    served = ", ".join(name for name in SPACES.names() if ordered(SPACES.get(name)))
    return HwnasError(
        f"pcnas cannot grow networks of space {space.name} choice by choice: {why}",
        f"use --sampler uniform or greedynas, or one of the spaces {served}",
    )


def _stream(fixed: Decisions) -> np.random.Generator:
    """Randomness that the decisions alone decide: a restored partial model begins as it did before."""
    digest = hashlib.sha256(json.dumps(dict(fixed)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


SAMPLERS.register("pcnas", PCNAS)
