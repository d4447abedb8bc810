"""The loop: budgets, schedules, divergence, logs, checkpoints."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.optim import SGD

from hwnas.training.average import moving_average
from hwnas.training.logs import Log
from hwnas.training.loop import DivergedError, Hooks, fit
from hwnas.training.optimizer import make_optimizer
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget, Schedule, Spent


class Clock:
    """Each look at it takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def quadratic():
    weight = nn.Parameter(torch.tensor([[4.0]]))
    optimizer = make_optimizer([weight], Recipe(optimizer="sgd", lr=0.1, momentum=0.0, weight_decay=0.0))

    def step(_):
        loss = (weight**2).sum()
        loss.backward()
        return {"loss": loss.item()}

    return weight, optimizer, step


def test_steps_bound_and_reduce_the_loss(quadratic, tmp_path):
    weight, optimizer, step = quadratic
    log = Log(tmp_path / "log.jsonl", every=10)
    fitted = fit(step, itertools.count(), optimizer, budget=Budget(steps=25), log=log)
    assert fitted.spent.steps == 25
    assert abs(weight.item()) < 1.0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 25]
    assert lines[0]["loss"] > lines[-1]["loss"] == fitted.last_loss


def test_seconds_bound_and_bring_the_rate_down(quadratic):
    _, optimizer, step = quadratic
    fitted = fit(step, itertools.count(), optimizer, budget=Budget(seconds=20.0), clock=Clock())
    assert 10 <= fitted.spent.steps <= 20
    assert optimizer.param_groups[0]["lr"] < 0.1 * 0.2


def test_until_and_spent_split_one_training_in_two():
    rates = []
    for parts in ([1.0], [0.4, 1.0]):
        weight = nn.Parameter(torch.zeros(1))
        optimizer = SGD([{"params": [weight], "peak_lr": 1.0}], lr=1.0)
        seen, spent = [], Spent()

        def step(_, optimizer=optimizer, seen=seen, weight=weight):
            seen.append(optimizer.param_groups[0]["lr"])
            weight.grad = torch.zeros(1)
            return {"loss": 0.0}

        for until in parts:
            spent = fit(step, itertools.count(), optimizer, budget=Budget(steps=10), until=until, spent=spent).spent
        rates.append(seen)
    assert rates[0] == rates[1]
    assert len(rates[0]) == 10


def test_divergence_is_an_error_and_keeps_the_parameters(quadratic):
    weight, optimizer, step = quadratic

    def bad(batch):
        figures = step(batch)
        return figures if batch < 3 else {"loss": float("nan")}

    before = []
    with pytest.raises(DivergedError, match="diverged at step 4"):
        fit(
            bad,
            itertools.count(),
            optimizer,
            budget=Budget(steps=10),
            hooks=Hooks(after_step=lambda spent: before.append(weight.item())),
        )
    assert weight.item() == before[-1]


def test_infinite_gradient_is_noticed_where_it_is_clipped(quadratic):
    weight, optimizer, _ = quadratic

    def step(_):
        weight.grad = torch.full((1, 1), float("inf"))
        return {"loss": 1.0}

    with pytest.raises(DivergedError):
        fit(step, itertools.count(), optimizer, budget=Budget(steps=10), clip_norm=1.0)


def test_checkpoints_come_by_the_clock_and_at_the_end(quadratic):
    _, optimizer, step = quadratic
    saved = []
    hooks = Hooks(checkpoint=lambda spent: lambda: saved.append(spent.steps), checkpoint_seconds=10.0)
    fit(step, itertools.count(), optimizer, budget=Budget(steps=12), hooks=hooks, clock=Clock())
    assert saved[-1] == 12
    assert len(saved) >= 3


def test_batches_that_end_end_the_training(quadratic):
    _, optimizer, step = quadratic
    assert fit(step, range(3), optimizer, budget=Budget(steps=10)).spent.steps == 3


def test_schedule_reaches_the_optimizer(quadratic):
    _, optimizer, step = quadratic
    fit(step, range(1), optimizer, budget=Budget(steps=10), schedule=Schedule(warmup=0.0, power=1.0))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


def test_moving_average_warms_up():
    network = nn.Linear(1, 1, bias=False)
    average = moving_average(network, 0.999)
    for value in range(1, 101):
        with torch.no_grad():
            network.weight.fill_(float(value))
        average.update_parameters(network)
    # a fixed decay of 0.999 would still be near 1 after a hundred steps
    assert 80 < average.module.weight.item() < 100


def test_a_state_is_written_when_the_next_loss_is_finite(quadratic):
    _, optimizer, step = quadratic
    written = []
    hooks = Hooks(checkpoint=lambda spent: lambda: written.append(spent.steps), checkpoint_seconds=0.0)

    def bad(batch):
        return step(batch) if batch < 3 else {"loss": float("nan")}

    with pytest.raises(DivergedError):
        fit(bad, itertools.count(), optimizer, budget=Budget(steps=10), hooks=hooks)
    assert written == [1, 2]


def test_overflown_gradients_are_left_out_with_a_scaler(quadratic):
    weight, optimizer, _ = quadratic
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)

    def step(batch):
        loss = (weight**2).sum()
        scaler.scale(loss).backward()
        if batch == 1:
            weight.grad.fill_(float("inf"))
        return {"loss": loss.item()}

    values = []
    hooks = Hooks(after_step=lambda spent: values.append(weight.item()))
    schedule = Schedule(warmup=0.0, curve="constant")
    fit(step, range(3), optimizer, budget=Budget(steps=3), scaler=scaler, hooks=hooks, schedule=schedule, clip_norm=99)
    assert values == pytest.approx([3.2, 3.2, 2.56])  # 4 - 0.1 * 2 * 4; nothing; 3.2 - 0.1 * 2 * 3.2


def test_a_figure_that_some_steps_lack_is_averaged_over_those_that_have_it():
    log = Log(every=4)
    lines = []
    log.sinks = (SimpleNamespace(write=lines.append),)
    for step in range(1, 5):
        late = {"expected_ms": 10.0} if step > 3 else {}
        log.add(Spent(step, 0.1 * step), {"loss": float(step), **late})
    assert lines[0]["loss"] == 2.5 and lines[0]["expected_ms"] == 10.0
