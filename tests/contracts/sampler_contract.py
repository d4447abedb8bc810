"""What every path sampler must keep to. ``make(grounds)`` makes one; each check is a function.

A training is played: a sampler is told how far it is, asked for a path, and told its loss, step after step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from toy_space import ToySpace, miou, price

from hwnas.errors import BudgetError
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import canonical, check
from hwnas.supernet.samplers.base import Grounds, PathSampler, Steered

Make = Callable[[Grounds], PathSampler]
SPACE = ToySpace()
BUDGET_MS, LIMIT_MS = 6.0, 7.5


class ToyJudge:
    """Lower is better: one less the toy's score. Counts what it judges."""

    def __init__(self, worth: Callable[[Decisions], float] = miou) -> None:
        self.worth = worth
        self.judged: list[Decisions] = []

    def losses(self, paths: Sequence[Decisions]) -> list[float]:
        self.judged += paths
        return [1.0 - self.worth(path) for path in paths]


def latency_ms(decisions: Decisions) -> float:
    return price(decisions)["latency_ms"]


def grounds(
    *, budget_ms: float = BUDGET_MS, limit_ms: float = LIMIT_MS, judge: ToyJudge | None = None, seed: int = 0
) -> Grounds:
    return Grounds(SPACE, latency_ms, budget_ms, limit_ms, judge or ToyJudge(), np.random.default_rng(seed))


def play(
    sampler: PathSampler, rng: np.random.Generator, first: int = 0, last: int = 120, of: int = 120
) -> list[Decisions]:
    """The paths of the steps from ``first`` to ``last`` of a training of ``of`` steps, one a step."""
    given: list[Decisions] = []
    for step in range(first, last):
        sampler.advance(step / of)
        path = sampler.paths(1, rng)[0]
        sampler.feedback([path], [1.0])
        given.append(path)
    return given


def check_gives_what_was_asked_for(make: Make) -> None:
    sampler, rng = make(grounds()), np.random.default_rng(1)
    for fraction in (0.0, 0.3, 0.7, 1.0):
        sampler.advance(fraction)
        assert [len(sampler.paths(count, rng)) for count in (0, 1, 3, 12)] == [0, 1, 3, 12]


def check_paths_are_canonical_and_within_the_limit(make: Make) -> None:
    for path in play(make(grounds()), np.random.default_rng(1)):
        check(SPACE, path)
        assert canonical(SPACE, path) == dict(path)
        assert latency_ms(path) <= LIMIT_MS


def check_serves_a_budget_that_few_genotypes_meet(make: Make) -> None:
    sampler = make(grounds(budget_ms=2.0, limit_ms=2.5))
    assert all(latency_ms(path) <= 2.5 for path in play(sampler, np.random.default_rng(1), last=60, of=60))


def check_an_impossible_budget_names_the_fastest(make: Make) -> None:
    with pytest.raises(BudgetError, match="fastest found takes 1 ms"):
        make(grounds(budget_ms=0.5, limit_ms=0.5))


def check_paths_differ(make: Make) -> None:
    paths = play(make(grounds()), np.random.default_rng(1), last=60)
    assert len({tuple(path.items()) for path in paths}) > 30


def check_seeds_decide(make: Make) -> None:
    runs = [play(make(grounds(seed=seed)), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def check_global_seed_decides_nothing(make: Make) -> None:
    runs = []
    for seed in (0, 1):
        np.random.seed(seed)
        runs.append(play(make(grounds()), np.random.default_rng(1)))
    assert runs[0] == runs[1]


def check_restored_state_gives_the_same_paths(make: Make) -> None:
    for stopped in (0, 30, 75):
        rng = np.random.default_rng(1)
        sampler = make(grounds())
        play(sampler, rng, last=stopped)
        state = json.loads(json.dumps(sampler.state(), allow_nan=False))
        twin, twin_rng = make(grounds(seed=9)), np.random.default_rng(0)
        twin.restore(state)
        twin_rng.bit_generator.state = rng.bit_generator.state
        assert play(sampler, rng, first=stopped) == play(twin, twin_rng, first=stopped)
        assert sampler.state() == twin.state()
        assert sampler.settled == twin.settled


def check_state_is_a_snapshot(make: Make) -> None:
    sampler = make(grounds())
    play(sampler, np.random.default_rng(1), last=75)
    state = sampler.state()
    before = json.dumps(state)
    play(sampler, np.random.default_rng(2), first=75)
    assert json.dumps(state) == before


def check_a_broken_judge_stops_nothing(make: Make) -> None:
    """Paths whose loss is infinite are bad ones, even if all are."""
    sampler = make(grounds(judge=ToyJudge(lambda path: -math.inf)))
    assert len(play(sampler, np.random.default_rng(1))) == 120
    json.dumps(sampler.state(), allow_nan=False)


def check_a_pool_is_of_whole_genotypes_within_the_budget(make: Make) -> None:
    for steps in (6, 60):
        sampler = make(grounds())
        play(sampler, np.random.default_rng(1), last=steps, of=steps)
        if not isinstance(sampler, Steered):
            return
        pool = sampler.pool()
        for each in pool:
            assert canonical(SPACE, each.decisions) == dict(each.decisions)
            assert latency_ms(each.decisions) <= BUDGET_MS
        losses = [each.loss for each in pool]
        assert losses == sorted(losses)
        assert len({tuple(each.decisions.items()) for each in pool}) == len(pool)
        assert pool or steps < 40


def check_judgements_are_counted(make: Make) -> None:
    judge = ToyJudge()
    sampler = make(grounds(judge=judge))
    play(sampler, np.random.default_rng(1))
    if isinstance(sampler, Steered):
        assert sampler.judged == len(judge.judged) > 0
    else:
        assert not judge.judged


def check_steering_finds_better_paths(make: Make) -> None:
    """By the end of a training the paths of a sampler that judges are better than those it began with."""
    sampler = make(grounds())
    paths = play(sampler, np.random.default_rng(1), last=400, of=400)
    if isinstance(sampler, Steered):
        assert np.mean([miou(path) for path in paths[-40:]]) > np.mean([miou(path) for path in paths[:25]]) + 0.05


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]
