"""One number of quality and costs, by the formulas of the papers."""

from __future__ import annotations

import pytest

from hwnas.errors import BudgetError, HwnasError
from hwnas.search.objective import Objective, direction_of
from hwnas.search.scalarise import Hinge, Lagrangian, MnasNet, make_form
from hwnas.search.strategy import Outcome, Request

T = {"latency_ms": 10.0}


def score(objective: Objective, **values: float) -> float | None:
    return objective.score(Outcome(Request({"x": 1}, 0), values))


def test_mnasnet_soft_is_equation_2_with_its_exponents() -> None:
    objective = Objective(form=MnasNet(T))
    assert score(objective, miou=0.5, latency_ms=10.0) == pytest.approx(0.5)
    assert score(objective, miou=0.5, latency_ms=20.0) == pytest.approx(0.5 * 2**-0.07)
    assert score(objective, miou=0.5, latency_ms=5.0) == pytest.approx(0.5 * 2**0.07)


def test_mnasnet_hard_is_flat_within_and_one_over_the_excess_beyond() -> None:
    objective = Objective(form=MnasNet.hard(T))
    assert score(objective, miou=0.5, latency_ms=3.0) == score(objective, miou=0.5, latency_ms=10.0) == 0.5
    assert score(objective, miou=0.5, latency_ms=20.0) == pytest.approx(0.25)


def test_several_targets_multiply() -> None:
    form = MnasNet({"latency_ms": 10.0, "params": 1e6})
    assert form.score(1.0, {"latency_ms": 20.0, "params": 2e6}) == pytest.approx(2**-0.14)


def test_hinge_charges_the_excess_only() -> None:
    form = Hinge(T, weight=0.5)
    assert form.score(0.6, {"latency_ms": 2.0}) == 0.6
    assert form.score(0.6, {"latency_ms": 12.0}) == pytest.approx(0.5)


def test_lagrangian_rewards_what_is_below_too() -> None:
    form = Lagrangian(T, weight=0.1)
    assert form.score(0.6, {"latency_ms": 5.0}) == pytest.approx(0.65)
    assert form.score(0.6, {"latency_ms": 20.0}) == pytest.approx(0.5)


def test_a_form_is_made_by_name() -> None:
    assert make_form("mnasnet-hard", T, {}) == MnasNet.hard(T)
    assert make_form("mnasnet-soft", T, {"within": -0.1}) == MnasNet(T, -0.1, -0.07)
    assert make_form("hinge", T, {"weight": 2.0}) == Hinge(T, 2.0)
    for name, targets, options in [("nohinge", T, {}), ("hinge", T, {"over": 1.0}), ("hinge", {}, {})]:
        with pytest.raises(HwnasError):
            make_form(name, targets, options)
    with pytest.raises(HwnasError, match="not above zero"):
        make_form("hinge", {"latency_ms": 0.0}, {})


def test_directions() -> None:
    assert {direction_of(name) for name in ("miou", "miou_int8")} == {"max"}
    costs = ("latency_ms", "latency_ms@jetson", "params", "macs", "peak_activation_bytes")
    assert {direction_of(name) for name in costs} == {"min"}


def test_several_metrics_have_a_vector_and_the_first_as_score() -> None:
    objective = Objective(also=("latency_ms", "params"))
    outcome = Outcome(Request({"x": 1}, 0), {"miou": 0.4, "latency_ms": 3.0, "params": 9.0})
    assert objective.vector(outcome) == (0.4, -3.0, -9.0)
    assert objective.score(outcome) == 0.4
    assert objective.needs == ("miou", "latency_ms", "params")
    assert Objective("params").vector(outcome) == (-9.0,)
    assert objective.vector(Outcome(Request({"x": 1}, 0), status="failed")) is None


def test_a_cost_that_a_form_reads_must_be_measured() -> None:
    with pytest.raises(HwnasError, match="'latency_ms', which was not measured"):
        Objective(form=MnasNet(T)).judge(Outcome(Request({"x": 1}, 0), {"miou": 0.4}))


def test_what_makes_no_objective_is_refused() -> None:
    with pytest.raises(HwnasError, match="twice"):
        Objective(also=("miou",))
    with pytest.raises(HwnasError, match="either several metrics"):
        Objective(also=("params",), form=MnasNet(T))
    with pytest.raises(HwnasError, match="is a cost"):
        Objective("params", form=MnasNet(T))
    with pytest.raises(BudgetError, match="above zero"):
        Objective(limits={"params": 0.0})


def test_document_tells_objectives_apart() -> None:
    documents = [
        Objective(),
        Objective(limits={"params": 5.0}),
        Objective(also=("params",)),
        Objective(form=MnasNet(T)),
        Objective(form=MnasNet.hard(T)),
        Objective(form=Hinge(T)),
    ]
    texts = {str(objective.to_dict()) for objective in documents}
    assert len(texts) == len(documents)
    assert Objective(form=Hinge(T)).to_dict() == {
        "metrics": {"miou": "max"},
        "limits": {},
        "form": "hinge",
        "targets": {"latency_ms": 10.0},
        "weight": 1.0,
    }
