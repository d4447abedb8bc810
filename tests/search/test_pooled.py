"""A search that begins with a pool asks for it first, once, within the limits, and goes on from it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from strategy_contract import outcome_of, play
from toy_space import ToySpace, evaluate, toy_problem

from hwnas.search.pooled import takes_pool
from hwnas.search.strategy import FOREIGN, STRATEGIES
from hwnas.spaces.decisions import canonical


def genotype(*depths: int) -> dict:
    return canonical(ToySpace(), {**{f"x{i}": depth for i, depth in enumerate(depths)}, "extra": (1, 2)})


POOL = [genotype(*[1] * 8), genotype(2, *[1] * 7), genotype(*[0] * 8), genotype(1, 1, 1, 1, 1, 1, 1, 2)]
DEAR = genotype(*[3] * 8)


def make(name: str, pool=POOL, seed: int = 1):
    return STRATEGIES.get(name)(toy_problem(), seed=seed, pool=pool)


@pytest.mark.parametrize("name", ["greedynas", "pcnas"])
def test_the_pool_comes_first_in_its_order_without_what_is_over_or_twice(name: str) -> None:
    strategy = make(name, [POOL[0], DEAR, POOL[1], POOL[0], *POOL[2:]])
    requests = strategy.ask(3) + strategy.ask(1)
    assert [dict(request.decisions) for request in requests] == POOL
    assert [request.id for request in requests] == [0, 1, 2, 3]


def test_pcnas_ends_with_its_pool() -> None:
    strategy = make("pcnas")
    assert len(strategy.ask(10)) == 4
    assert strategy.ask(1) == []


def test_pcnas_searches_at_random_where_nothing_of_the_pool_may_be_evaluated(caplog: pytest.LogCaptureFixture) -> None:
    requests = make("pcnas", [DEAR]).ask(3)
    assert len(requests) == 3 and all(dict(request.decisions) != DEAR for request in requests)
    assert "nothing of the pool" in caplog.text


def test_what_another_process_found_of_the_pool_is_not_asked_for_and_is_counted_once() -> None:
    strategy, plain = make("greedynas"), make("greedynas")
    (first, second) = (evaluate(request) for request in plain.ask(2))
    foreign = replace(second, request=replace(second.request, id=FOREIGN))
    strategy.tell([foreign])
    assert [request.id for request in strategy.ask(3)] == [0, 2, 3]
    strategy.tell([first])
    assert strategy.state()["told"] == [0, 1]
    assert [member["score"] for member in strategy.state()["after"]["living"]] == [
        toy_problem().objective.score(each) for each in (second, first)
    ]
    assert strategy.state()["after"]["waiting"] == [2, 3]


def test_greedynas_goes_on_from_the_pool_without_repeating_it() -> None:
    strategy = make("greedynas", POOL[:2])
    asked = play(strategy, 40, np.random.default_rng(0))
    assert [request.id for request in asked] == list(range(len(asked)))
    problem = toy_problem()
    assert len({problem.key(request.decisions) for request in asked}) == len(asked) > 40


def test_children_descend_from_the_pool() -> None:
    """All that live are the pool's: a first child differs from them by a cross and a mutation."""
    strategy = STRATEGIES.get("greedynas")(toy_problem(), seed=1, pool=POOL, population=4)
    strategy.tell([evaluate(request) for request in strategy.ask(4)])
    for request in strategy.ask(6):
        values = [request.decisions[f"x{i}"] for i in range(8)]
        assert sum(value not in {each[f"x{i}"] for each in POOL} for i, value in enumerate(values)) <= 1


@pytest.mark.parametrize("stopped", [0, 2, 12])
@pytest.mark.parametrize("name", ["greedynas", "pcnas"])
def test_restored_and_told_again_it_has_the_same_future(name: str, stopped: int) -> None:
    strategy, told = make(name), make(name)
    history = []
    for _ in range(stopped):
        for request in strategy.ask(1):
            history.append(outcome_of(request))
            strategy.tell(history[-1:])
    restored = make(name, seed=0)
    restored.restore(json.loads(json.dumps(strategy.state())))
    told.tell(history)
    futures = [play(twin, 12, np.random.default_rng(5), most=1) for twin in (strategy, restored, told)]
    assert futures[0] == futures[1] == futures[2]


def test_which_strategies_take_a_pool() -> None:
    assert takes_pool("greedynas:population=20") and takes_pool("pcnas")
    assert not takes_pool("random")
