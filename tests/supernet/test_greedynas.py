"""Greedy sampling: which paths are trained, where they come from, what the pool keeps, when it has settled."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.spaces.base import Choice
from hwnas.spaces.decisions import uniform_decisions
from hwnas.supernet.samplers.base import Grounds
from hwnas.supernet.samplers.greedynas import GreedyNAS


class Numbers:
    """Three digits; a path's loss and price are what the test says."""

    name = "numbers"
    choices = tuple(Choice(f"d{place}", tuple(range(10))) for place in range(3))

    def decode(self, decisions):
        raise NotImplementedError

    def sample(self, rng):
        return uniform_decisions(self, rng)


class Judge:
    """The loss is the number; the last judgement's paths are kept."""

    def __init__(self):
        self.drawn = []

    def losses(self, paths):
        self.drawn = [number(path) for path in paths]
        return [float(value) for value in self.drawn]


def number(path):
    return int("".join(str(path[f"d{place}"]) for place in range(3)))


def sampler(judge=None, *, budget_ms=1000.0, **options):
    return GreedyNAS(
        Grounds(
            Numbers(), lambda path: 1.0 + number(path), budget_ms, 1000.0, judge or Judge(), np.random.default_rng(0)
        ),
        **options,
    )


def test_the_best_of_those_drawn_are_trained_best_first():
    judge, rng = Judge(), np.random.default_rng(1)
    greedy = sampler(judge)
    greedy.advance(0.5)
    given = [number(greedy.paths(1, rng)[0]) for _ in range(5)]
    assert len(judge.drawn) == 10
    assert given == sorted(judge.drawn)[:5]
    first = list(judge.drawn)
    greedy.paths(1, rng)
    assert judge.drawn != first and greedy.judged == 20


def test_nothing_is_judged_while_warming_up():
    judge = Judge()
    greedy = sampler(judge, warmup=0.1)
    greedy.advance(0.09)
    greedy.paths(30, np.random.default_rng(1))
    assert not judge.drawn and not greedy.pool()


@pytest.mark.parametrize(("fraction", "share"), [(0.0, 0.0), (0.2, 0.0), (0.6, 0.4), (1.0, 0.8)])
def test_share_of_the_pool_rises_linearly_after_the_warm_up(fraction, share):
    greedy = sampler(warmup=0.2, exploit=0.8)
    greedy.advance(fraction)
    assert greedy.from_pool == pytest.approx(share)


def test_paths_come_from_the_pool_as_often_as_they_should():
    judge, rng = Judge(), np.random.default_rng(1)
    greedy = sampler(judge, pool_size=3, warmup=0.0, exploit=1.0)
    greedy.advance(0.0)
    greedy.paths(1, rng)
    greedy.advance(0.6)
    drawn = []
    for _ in range(60):
        known = {number(each.decisions) for each in greedy.pool()}
        greedy.paths(5, rng)
        drawn += [value in known for value in judge.drawn]
    assert np.mean(drawn) == pytest.approx(0.6, abs=0.08)


def test_pool_keeps_the_lowest_losses_within_the_budget():
    judge, rng = Judge(), np.random.default_rng(1)
    greedy = sampler(judge, pool_size=4, budget_ms=500.0)
    greedy.advance(0.3)
    seen = set()
    for _ in range(20):
        greedy.paths(5, rng)
        seen |= {value for value in judge.drawn if 1.0 + value <= 500.0}
    assert [number(each.decisions) for each in greedy.pool()] == sorted(seen)[:4]


def test_a_path_judged_again_has_its_latest_loss():
    class Rising(Judge):
        shift = 0.0

        def losses(self, paths):
            return [loss + self.shift for loss in super().losses(paths)]

    judge, rng = Rising(), np.random.default_rng(1)
    greedy = sampler(judge, pool_size=3, warmup=0.0, exploit=1.0)
    greedy.advance(0.0)
    greedy.paths(5, rng)
    judge.shift = 0.5
    greedy.advance(1.0)  # now every path comes from the pool
    greedy.paths(5, rng)
    again = set(judge.drawn)
    assert all(each.loss == number(each.decisions) + 0.5 * (number(each.decisions) in again) for each in greedy.pool())


def test_settles_when_the_pool_is_full_and_stays_the_same():
    rng = np.random.default_rng(1)
    greedy = sampler(pool_size=5, warmup=0.0, interval=5, settle=0.0)
    greedy.advance(0.4)
    rounds = 0
    while not greedy.settled and rounds < 2000:
        before = greedy.pool()
        greedy.paths(5, rng)
        rounds += 1
        if greedy.settled:
            assert {number(each.decisions) for each in before} == {number(each.decisions) for each in greedy.pool()}
    assert 10 <= rounds < 2000 and rounds % 5 == 0


def test_a_pool_that_is_not_full_has_not_settled():
    greedy = sampler(pool_size=900, interval=1, settle=1.0)
    greedy.advance(0.4)
    greedy.paths(50, np.random.default_rng(1))
    assert not greedy.settled


@pytest.mark.parametrize("options", [{"kept": 11}, {"kept": 0}, {"pool_size": 0}, {"warmup": 1.0}, {"exploit": 1.5}])
def test_error_on_impossible_options(options):
    with pytest.raises(HwnasError, match="greedynas cannot"):
        sampler(**options)
