"""EcoNAS: births are trained for a third, the best of each population go on from their checkpoints."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from toy_space import evaluate, toy_problem

from hwnas.errors import HwnasError
from hwnas.search.econas import Econas, fidelity_of, level_of
from hwnas.search.strategy import Outcome, Request


def trained(request: Request) -> Outcome:
    checkpoint = f"{'-'.join(map(str, request.decisions.values()))}@{level_of(request.fidelity)}"
    return replace(evaluate(request), checkpoint=checkpoint)


def played(strategy: Econas, rounds: int) -> list[Request]:
    asked = []
    for _ in range(rounds):
        (request,) = strategy.ask(1)
        asked.append(request)
        strategy.tell([trained(request)])
    return asked


def test_batches_are_halved_from_population_to_population() -> None:
    asked = played(Econas(toy_problem(), seed=0, population=8, batch=4), 28)
    levels = [level_of(request.fidelity) for request in asked]
    assert levels == ([0] * 4 + [1] * 2 + [2]) * 4
    assert [fidelity_of(level) for level in range(3)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_the_best_of_a_population_goes_on_from_its_checkpoint() -> None:
    asked = played(Econas(toy_problem(), seed=1, population=8, batch=4), 60)
    origin = {trained(request).checkpoint: request for request in asked}
    for request in asked:
        if request.continue_from is None:
            assert level_of(request.fidelity) == 0
        else:
            before = origin[request.continue_from]
            assert before.decisions == request.decisions
            assert level_of(request.fidelity) == level_of(before.fidelity) + 1
    first = max(asked[:4], key=lambda request: trained(request).values["miou"])
    assert asked[4].decisions == first.decisions


def test_nothing_is_promoted_twice() -> None:
    asked = played(Econas(toy_problem(), seed=2, population=8, batch=4), 120)
    keys = Counter((toy_problem().key(request.decisions), request.fidelity) for request in asked)
    assert max(keys.values()) == 1


def test_networks_that_were_not_trained_for_a_lifetime_are_gone() -> None:
    strategy = Econas(toy_problem(), seed=0, population=8, batch=4, lifetime=2)
    played(strategy, 100)
    state = strategy.state()
    cycle = (state["told"][0] - 8) // 4
    assert cycle > 4
    assert {cycle - member["cycle"] for members in state["living"] for member in members} == {0, 1}


def test_parents_come_from_all_populations_as_often_as_the_authors_take_them() -> None:
    strategy = Econas(toy_problem(), seed=0, population=8, batch=4, tournament=0)
    played(strategy, 60)
    populations = [{id(member.decisions) for member in members} for members in strategy._living]
    parents: Counter[int] = Counter()
    for number in range(1600):
        parent = strategy._parent(np.random.default_rng(number))
        parents[next(level for level, members in enumerate(populations) if id(parent) in members)] += 1
    assert [parents[level] / 100 for level in range(3)] == pytest.approx([6, 5, 5], abs=0.8)


def test_a_parent_is_the_best_of_a_quarter_of_its_population() -> None:
    strategy = Econas(toy_problem(), seed=0, population=8, batch=8, promoted=0.125)
    played(strategy, 8)
    scores = sorted(member.score for member in strategy._living[0])
    drawn = [strategy._parent(np.random.default_rng(number)) for number in range(400)]
    by_decisions = {id(member.decisions): member.score for member in strategy._living[0]}
    ranks = np.array([scores.index(by_decisions[id(each)]) for each in drawn])
    assert np.mean((ranks + 1) / 8) == pytest.approx(np.mean([1 - (i / 8) ** 3 for i in range(8)]), abs=0.05)


def test_births_do_not_wait_for_promotions() -> None:
    strategy = Econas(toy_problem(), seed=0, population=8, batch=4)
    assert len(strategy.ask(20)) == 20


def test_it_climbs_with_checkpoints_missing_too() -> None:
    strategy = Econas(toy_problem(), seed=0, population=8, batch=4)
    for _ in range(20):
        (request,) = strategy.ask(1)
        strategy.tell([evaluate(request)])  # without a checkpoint
    assert request.continue_from is None


def test_numbers_that_cannot_be_are_refused() -> None:
    with pytest.raises(HwnasError, match="promoted 2"):
        Econas(toy_problem(), seed=0, promoted=2)
