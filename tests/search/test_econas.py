"""EcoNAS: births are trained for a third, the best of each population go on from their checkpoints."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

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
