"""Choices that cannot be mixed: drawn under every mixing, learned by the score function; ``realtime`` has one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.search.gradient.bilevel import Bilevel, alpha_optimizer
from hwnas.search.gradient.drawn import Drawing
from hwnas.search.gradient.logits import Logits
from hwnas.search.gradient.order import Order
from hwnas.search.methods import METHODS
from hwnas.spaces.base import Choice
from hwnas.spaces.decisions import check
from hwnas.spaces.realtime import RealtimeSpace
from hwnas.training.recipe import Recipe
from tests.search.gradient.free_budget import Free

LOSSES = torch.tensor([3.0, 1.0, 2.0])
BATCH = (torch.zeros(1), torch.zeros(1))


def drawing(logits: Logits) -> Drawing:
    return Drawing(lambda weights, batch: (weights["way"] * LOSSES).sum(), logits, ["way"])


def test_the_score_s_mean_is_the_gradient_of_the_mean_loss() -> None:
    logits = Logits((Choice("way", (0, 1, 2)),), std=1.0)
    vector = logits.tensors["way"]
    one = drawing(logits)
    total = torch.zeros(3)
    for place, share in enumerate(vector.detach().softmax(0)):
        one.places, one.usual = {"way": place}, 2.5
        total += share * torch.autograd.grad(one.score(float(LOSSES[place])), vector)[0]
    exact = torch.autograd.grad((vector.softmax(0) * LOSSES).sum(), vector)[0]
    torch.testing.assert_close(total, exact)


def test_options_are_drawn_by_their_probabilities() -> None:
    logits = Logits((Choice("way", (0, 1, 2)),))
    one, counts = drawing(logits), torch.zeros(3)
    torch.manual_seed(0)
    for _ in range(300):
        loss = one({"way": torch.tensor([0.7, 0.0, 0.3])}, BATCH)
        assert float(loss) == LOSSES[one.places["way"]]
        counts[one.places["way"]] += 1
    assert counts[1] == 0 and 180 < counts[0] < 240


def test_the_better_option_is_learned_and_the_baseline_is_kept() -> None:
    logits = Logits((Choice("way", (0, 1, 2)),), soft=("way",))
    weight = nn.Parameter(torch.ones(()))
    step = Bilevel(
        lambda weights, batch: weight * (weights["way"] * LOSSES).sum(),
        logits,
        [weight],
        optimizer=alpha_optimizer(logits, lr=0.1),
        drawn=("way",),
    )
    torch.manual_seed(0)
    for _ in range(120):
        step.step(BATCH, BATCH)
    assert step.relaxation()["way"].argmax() == 1 and step.relaxation()["way"].max() > 0.8
    part, twin = step.parts()["drawn"], drawing(logits)
    twin.part().recall(part.facts())
    assert twin.usual == step.drawing.usual is not None


class Narrow(RealtimeSpace):
    """The space with few channels."""

    def __init__(self) -> None:
        super().__init__()
        self.choices = tuple(
            replace(choice, options=(4, 8)) if choice.name.endswith("width") else choice for choice in self.choices
        )
        self.relaxation = self.choices


PROMISED = [name for name in METHODS.names() if METHODS.get(name).gradient and "realtime" in METHODS.get(name).spaces]


@pytest.mark.parametrize(
    "name, options",
    [(name, {}) for name in PROMISED]
    + [("darts", {"paths": paths, "look_every": 0}) for paths in ("gumbel", "sigmoid")]
    + [("darts", {"paths": "sampled", "order": 2})],
)
def test_methods_that_promise_realtime_search_it(name: str, options: dict) -> None:
    space = Narrow()

    def loss(network: nn.Module, *teachers: object):
        return lambda weights, batch: network(batch[0], weights).square().mean()

    order = Order(
        space,
        (3, 64, 96),
        3,
        loss,
        Recipe(),
        lambda weights: torch.stack([vector[-1] for vector in weights.values()]).sum(),
        Free(),
        0,
        options={"look_every": 2, "learn_from": 0.0, **options},
    )
    prepared = METHODS.get(name).prepare()(order)
    assert prepared.network.drawn == ("dilate",)
    batch = (torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)), torch.zeros(1))
    torch.manual_seed(0)
    for step in range(3):
        prepared.step.begin(step / 3)
        figures = prepared.step.step(batch, batch)
    assert np.isfinite(list(figures.values())).all()
    assert ("eigenvalue" in figures) == (name == "darts" and order.options["look_every"] == 2)
    check(space, space.derive(prepared.step.relaxation()))
