"""Rungs and brackets: who is sent on, when, to what fidelity, and from which checkpoint."""

from __future__ import annotations

from collections import Counter

import pytest
from toy_space import miou, toy_problem

from hwnas.errors import HwnasError
from hwnas.search.halving import Halving, rungs
from hwnas.search.make import make_strategy
from hwnas.search.strategy import Outcome, Request


def answer(request: Request, status: str = "ok") -> Outcome:
    checkpoint = f"{request.id} at {request.fidelity:g}"
    return Outcome(request, {"miou": miou(request.decisions)}, status, checkpoint=checkpoint)  # type: ignore[arg-type]


def played(strategy: Halving, count: int) -> list[Request]:
    asked = []
    for _ in range(count):
        (request,) = strategy.ask(1)
        asked.append(request)
        strategy.tell([answer(request)])
    return asked


def test_rungs_are_powers_of_eta_up_to_1() -> None:
    assert rungs(1 / 9, 3) == pytest.approx([1 / 9, 1 / 3, 1])
    assert rungs(0.2, 2) == [0.25, 0.5, 1.0]
    assert rungs(1.0, 3) == [1.0]


def test_each_rung_has_about_a_third_of_the_one_below() -> None:
    """A few more: who comes late and is among the best is sent on, though others that were are not any more."""
    asked = played(Halving(toy_problem(), seed=0, eta=3), 130)
    counts = Counter(round(9 * request.fidelity) for request in asked)
    assert set(counts) == {1, 3, 9}
    assert counts[1] // 3 <= counts[3] <= 1.3 * counts[1] / 3
    assert counts[3] // 3 <= counts[9] <= 1.4 * counts[3] / 3


def test_the_best_of_a_rung_is_sent_on_from_its_checkpoint() -> None:
    asked = played(Halving(toy_problem(), seed=0, eta=3, min_fidelity=1 / 3), 4)
    best = max(asked[:3], key=lambda request: miou(request.decisions))
    assert asked[3].decisions == best.decisions
    assert asked[3].fidelity == 1
    assert asked[3].continue_from == f"{best.id} at 0.333333"


def test_failures_are_never_sent_on() -> None:
    strategy = Halving(toy_problem(), seed=0, eta=2)
    for _ in range(20):
        (request,) = strategy.ask(1)
        assert request.fidelity == 1 / 8
        strategy.tell([answer(request, "failed")])


def test_nobody_waits_for_a_rung_to_be_full() -> None:
    strategy = Halving(toy_problem(), seed=0, eta=3)
    requests = strategy.ask(20)
    assert len(requests) == 20
    strategy.tell(map(answer, requests[:3]))
    (sent_on,) = strategy.ask(1)
    assert sent_on.fidelity == pytest.approx(1 / 3)


def test_brackets_share_the_work() -> None:
    asked = played(Halving(toy_problem(13.0), seed=0, eta=3, brackets=3), 300)
    newcomers = Counter(round(9 * request.fidelity) for request in asked if request.continue_from is None)
    assert 9 * newcomers[9] == pytest.approx(3 * 2 * newcomers[3], rel=0.1)  # fidelity × rungs to go × count
    assert 9 * newcomers[9] == pytest.approx(1 * 3 * newcomers[1], rel=0.1)


def test_the_other_strategy_learns_of_first_rungs_only() -> None:
    strategy = Halving(toy_problem(), seed=0, around="evolution", around_population=4, eta=2, min_fidelity=0.5)
    asked = played(strategy, 9)
    first = [dict(request.decisions) for request in asked if request.fidelity == 0.5]
    living = strategy.state()["inner"]["living"]
    assert [member["decisions"] for member in living] == first[-4:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("halving:eta=1", "cannot run with eta 1"),
        ("halving:min_fidelity=0", "min_fidelity 0"),
        ("halving:brackets=4", "has 3 rungs, and cannot have 4 brackets"),
        *((f"halving:around={name}", f"cannot go around {name}: it decides") for name in ("halving", "econas", "dpc")),
        *((f"halving:around={name}", f"cannot go around {name}: it begins") for name in ("greedynas", "pcnas")),
        ("halving:around=evolution,around_population=4.5", "population of evolution cannot be 4.5"),
        ("halving:eta=2.5", "eta of halving cannot be 2.5"),
        ("halving:around=evolution,around_populations=3", "evolution has no option 'populations'"),
        ("halving:population=3", "halving has no option 'population'"),
        ("halving:around=nobody", "unknown strategy 'nobody'"),
    ],
)
def test_impossible_options_are_refused(text: str, message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        make_strategy(text, toy_problem(), seed=0)
