"""Training a tiny network end to end on a task that colours decide."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hwnas.data.cache import Arrays
from hwnas.errors import HwnasError, RunError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape
from hwnas.training.loop import DivergedError
from hwnas.training.metrics import evaluate
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget, Spent
from hwnas.training.sizes import at_shape, crop_of, logits_node
from hwnas.training.train import train_network

RECIPE = Recipe(lr=0.02, batch=4, scale=(1.0, 1.0), crop=0.5)


def tiny(shape: Shape) -> OpGraph:
    builder = GraphBuilder(shape)
    source = builder.add("stem", "conv_3x3", ["image"], {"channels": 8, "stride": 2})
    source = builder.add("block", "mbconv_e2_k3", [source], {"channels": 8})
    logits = builder.add("classifier", "seg_head", [source], {"classes": 3})
    size = {"height": shape[1], "width": shape[2]}
    return builder.finish(builder.add("upsample", "resize_bilinear", [logits], size))


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Images of 8x8-pixel tiles whose colour is their class."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (12, 8, 8), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    images = np.eye(3, dtype=np.uint8)[masks] * 150 + rng.integers(0, 60, (12, 64, 64, 3), dtype=np.uint8)
    masks[:, :4] = 255
    return Arrays(images, masks, tuple(map(str, range(12))))


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "full_size": 0.3, "optimizer": "sgd", "balance": "median"}])
def test_learns_and_ends_at_full_size(arrays, changes, tmp_path):
    trained = train_network(
        tiny,
        arrays,
        np.arange(10),
        3,
        recipe=RECIPE.with_values(changes),
        budget=Budget(steps=60),
        log=tmp_path / "log.jsonl",
    )
    assert trained.fitted.spent.steps == 60
    assert not trained.network.training
    assert evaluate(trained.network, arrays, 3, indices=[10, 11]).miou > 0.7
    assert (tmp_path / "log.jsonl").exists()


def test_seconds_are_those_of_the_clock_that_is_given(arrays):
    ticks = itertools.count()
    trained = train_network(
        tiny, arrays, np.arange(10), 3, recipe=RECIPE, budget=Budget(seconds=9), clock=lambda: float(next(ticks))
    )
    assert trained.fitted.spent == Spent(9, 9.0)


def test_same_seed_same_network(arrays):
    weights = [
        train_network(
            tiny, arrays, np.arange(10), 3, recipe=RECIPE, budget=Budget(steps=3), seed=7
        ).network.state_dict()
        for _ in range(2)
    ]
    for key, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][key])


def test_initial_weights_are_taken(arrays):
    initial = train_network(tiny, arrays, np.arange(10), 3, recipe=RECIPE, budget=Budget(steps=40)).network.state_dict()
    gentle = RECIPE.with_values({"lr": 1e-6})
    again = train_network(tiny, arrays, np.arange(10), 3, recipe=gentle, budget=Budget(steps=1), initial=initial)
    torch.testing.assert_close(
        again.network.state_dict()["stem.conv.weight"], initial["stem.conv.weight"], atol=1e-4, rtol=0
    )


def test_error_on_weights_of_another_network(arrays):
    with pytest.raises(RunError):
        train_network(tiny, arrays, np.arange(10), 3, recipe=RECIPE, budget=Budget(steps=1), initial={})


def test_divergence_is_reported(arrays):
    wild = RECIPE.with_values({"optimizer": "sgd", "lr": 1e30, "warmup": 0.0, "clip_norm": 0.0})
    with pytest.raises(DivergedError, match="lower the learning rate"):
        train_network(tiny, arrays, np.arange(10), 3, recipe=wild, budget=Budget(steps=20))


def test_network_at_another_shape_shares_its_parameters():
    from hwnas.compiler.network import compile_graph

    network = compile_graph(tiny((3, 64, 64)), seed=0)
    small = at_shape(network, tiny, (3, 32, 32)).train()
    assert small(torch.randn(2, 3, 32, 32)).shape == (2, 3, 16, 16)  # the last upsampling is the loss's
    ours, theirs = dict(network.named_parameters()), dict(small.named_parameters())
    assert all(ours[name] is theirs[name] for name in ours)
    norms = [key for key in network.state_dict() if key.endswith("running_mean")]
    assert all(torch.equal(network.state_dict()[key], small.state_dict()[key]) for key in norms)
    assert any(network.state_dict()[key].abs().sum() > 0 for key in norms)


def test_crop_is_a_multiple_of_four_pixels():
    assert crop_of(Recipe(crop=0.5), (361, 478)) == (180, 240)
    assert logits_node(tiny((3, 64, 64))) == "classifier"


def test_auxiliary_outputs_are_trained_too(arrays):
    def aided(shape: Shape) -> OpGraph:
        builder = GraphBuilder(shape)
        stem = builder.add("stem", "conv_3x3", ["image"], {"channels": 8, "stride": 2})
        hint = builder.add("hint", "seg_head", [stem], {"classes": 3})
        logits = builder.add("classifier", "seg_head", [stem], {"classes": 3})
        return builder.finish(
            builder.add("up", "resize_bilinear", [logits], {"height": shape[1], "width": shape[2]}), [hint]
        )

    first, last = (
        train_network(aided, arrays, np.arange(10), 3, recipe=RECIPE, budget=Budget(steps=steps), seed=1).network
        for steps in (1, 40)
    )
    assert not torch.equal(first.state_dict()["hint.conv.weight"], last.state_dict()["hint.conv.weight"])
    assert evaluate(last, arrays, 3, indices=[10, 11]).miou > 0.6


def test_a_classifier_is_refused(arrays):
    def classifier(shape: Shape) -> OpGraph:
        builder = GraphBuilder(shape)
        pooled = builder.add("pool", "global_avg_pool", ["image"])
        return builder.finish(builder.add("classifier", "seg_head", [pooled], {"classes": 3}))

    with pytest.raises(HwnasError, match="classifies whole images"):
        train_network(classifier, arrays, np.arange(10), 3, recipe=RECIPE, budget=Budget(steps=1))


def test_auxiliary_outputs_that_are_no_logits_are_refused(arrays):
    def detailed(shape: Shape) -> OpGraph:
        builder = GraphBuilder(shape)
        stem = builder.add("stem", "conv_3x3", ["image"], {"channels": 8, "stride": 2})
        detail = builder.add("detail", "seg_head", [stem], {"classes": 1})
        logits = builder.add("classifier", "seg_head", [stem], {"classes": 3})
        return builder.finish(logits, [detail])

    with pytest.raises(HwnasError, match="'detail' gives 1 channel"):
        train_network(detailed, arrays, np.arange(10), 3, recipe=RECIPE, budget=Budget(steps=1))


def test_bf16_computes_in_half_and_keeps_weights_in_full(arrays):
    recipe = RECIPE.with_values({"precision": "bf16"})
    trained = train_network(tiny, arrays, np.arange(10), 3, recipe=recipe, budget=Budget(steps=2), seed=2)
    exact = train_network(tiny, arrays, np.arange(10), 3, recipe=RECIPE, budget=Budget(steps=2), seed=2)
    ours, theirs = trained.network.state_dict(), exact.network.state_dict()
    assert all(value.dtype == theirs[name].dtype for name, value in ours.items())
    assert trained.fitted.last_loss == pytest.approx(exact.fitted.last_loss, rel=0.05)
    assert trained.fitted.last_loss != exact.fitted.last_loss
