"""CR-NAS: all allocations first, then the blocks of the best one by one, by random completions."""

from __future__ import annotations

import numpy as np
import pytest
from toy_space import toy_problem

from hwnas.errors import HwnasError
from hwnas.search.crnas import Crnas
from hwnas.search.make import check_serves
from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.strategy import Outcome, Request
from hwnas.spaces.base import SPACES, Decisions
from hwnas.spaces.narrowed import NarrowedSpace, options_in_use

SPACE = SPACES.get("crnas-resnet18")
BEST = (3, 1, 2, 2)
DILATED = {"block2.dilation": 3, "block5.dilation": 2}


def score(decisions: Decisions) -> float:
    """Best in the allocation :data:`BEST`, with the dilations :data:`DILATED`, each of which helps by itself."""
    near = -float(np.abs(np.array(decisions["allocation"]) - np.array(BEST)).sum())
    return near + sum(0.1 * (decisions[name] == value) for name, value in DILATED.items())


def played(strategy: Crnas, rounds: int) -> list[Request]:
    asked = []
    for _ in range(rounds):
        (request,) = strategy.ask(1)
        asked.append(request)
        strategy.tell([Outcome(request, {"miou": score(request.decisions)})])
    return asked


def test_allocations_come_first_all_of_them_undilated() -> None:
    allocations = SPACE.choices[0].options
    asked = played(Crnas(Problem(SPACE, Objective()), seed=0), len(allocations))
    assert [request.decisions["allocation"] for request in asked] == list(allocations)
    assert {request.decisions[f"block{i}.dilation"] for request in asked for i in range(1, 9)} == {1}


def test_greedy_search_of_dilations_in_the_best_allocation_finds_them() -> None:
    strategy = Crnas(Problem(SPACE, Objective()), seed=0, completions=8)
    greedy = []
    while not strategy._planned_all:
        greedy += played(strategy, 1)
    greedy = greedy[9:-1]
    assert {request.decisions["allocation"] for request in greedy} == {BEST}
    assert 9 * 8 * 4 < len(greedy) <= 9 * (8 * 6 + 1)  # the first block is not worth a look: three options go on
    best = max(greedy[-6:], key=lambda request: score(request.decisions)).decisions
    assert DILATED.items() <= dict(best).items()


def test_a_partial_network_is_as_good_as_the_mean_of_random_completions() -> None:
    asked = played(Crnas(Problem(SPACE, Objective()), seed=0, beam=1, completions=4), 9 + 12 + 12)
    first, second = asked[9:21], asked[21:]
    by_option = {dilation: [r for r in first if r.decisions["block1.dilation"] == dilation] for dilation in (1, 2, 3)}
    assert {len(requests) for requests in by_option.values()} == {4}
    for i in range(2, 9):
        assert len({request.decisions[f"block{i}.dilation"] for request in first}) > 1
    means = {dilation: np.mean([score(r.decisions) for r in requests]) for dilation, requests in by_option.items()}
    assert {request.decisions["block1.dilation"] for request in second} == {max(means, key=lambda each: means[each])}


def test_completions_over_the_budget_are_not_drawn() -> None:
    def price(decisions: Decisions) -> dict[str, float]:
        return {"latency_ms": sum(float(decisions[f"block{i}.dilation"]) for i in range(1, 9))}  # type: ignore[arg-type]

    problem = Problem(SPACE, Objective("miou", {"latency_ms": 14.0}), price)
    asked = played(Crnas(problem, seed=0), 60)
    assert max(price(request.decisions)["latency_ms"] for request in asked) <= 14


def test_allocations_over_the_budget_are_left_out() -> None:
    def price(decisions: Decisions) -> dict[str, float]:
        return {"latency_ms": float(decisions["allocation"][0])}  # type: ignore[index,arg-type]

    problem = Problem(SPACE, Objective("miou", {"latency_ms": 2.0}), price)
    asked = played(Crnas(problem, seed=0), 6)
    assert max(request.decisions["allocation"][0] for request in asked) <= 2  # type: ignore[index,type-var]


def test_every_allocation_that_a_budget_allows_outlives_its_narrowing() -> None:
    space, rng = SPACES.get("crnas"), np.random.default_rng(0)

    def price(decisions: Decisions) -> dict[str, float]:
        return {"latency_ms": float(decisions["allocation"][3])}  # type: ignore[index,arg-type]

    within = [decisions for decisions in (space.sample(rng) for _ in range(600)) if price(decisions)["latency_ms"] <= 4]
    narrowed = NarrowedSpace(space, options_in_use(space, within[:400]))
    allowed = [counts for counts in space.choices[0].options if counts[3] <= 4]  # type: ignore[index,operator]
    asked = played(Crnas(Problem(narrowed, Objective("miou", {"latency_ms": 4.0}), price), seed=0), len(allowed))
    assert [request.decisions["allocation"] for request in asked] == allowed
    assert len(allowed) > 100


def test_the_second_level_waits_for_the_first() -> None:
    strategy = Crnas(Problem(SPACE, Objective()), seed=0)
    first = strategy.ask(50)
    assert len(first) == len(SPACE.choices[0].options)
    strategy.tell([evaluate_flat(request) for request in first[:-1]])
    assert strategy.ask(1) == []
    strategy.tell([evaluate_flat(first[-1])])
    assert strategy.ask(1)


def evaluate_flat(request: Request) -> Outcome:
    return Outcome(request, {"miou": 0.5})


def test_another_space_is_refused_with_those_it_can_search() -> None:
    with pytest.raises(HwnasError, match=r"has no choice 'allocation'.*crnas-resnet18"):
        Crnas(toy_problem(), seed=0)
    with pytest.raises(HwnasError, match=r"crnas cannot search the space toy(.|\n)*evolution"):
        check_serves("crnas", toy_problem())
