"""Training a supernet on paths that its own losses choose: killed, it goes on with the same paths; settled, it ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_supernet_train import PATHS, RECIPE, KillAt, Killed, Small, arrays, graph_of, weights

from hwnas.data.preprocess import normalize
from hwnas.ir.opgraph import GraphBuilder
from hwnas.supernet.judge import HeldOutLoss
from hwnas.supernet.samplers.base import SAMPLERS, Grounds
from hwnas.supernet.train import train_supernet
from hwnas.training.losses import make_loss
from hwnas.training.schedule import Budget

__all__ = ["arrays"]  # a fixture
TRAIN, HELD = np.arange(10), np.array([10, 11])


def price(decisions):
    return float(decisions["width"])


def judge_of(shared, arrays, **options):
    return HeldOutLoss(shared, graph_of, arrays, TRAIN, HELD, 3, recipe=RECIPE, size_hw=(32, 32), **options)


def make(name, shared, arrays, **options):
    ground = Grounds(Small(), price, 8.0, 8.0, judge_of(shared, arrays), np.random.default_rng(3))
    return SAMPLERS.get(name)(ground, **options)


def train(shared, sampler, arrays, steps, **options):
    return train_supernet(
        shared, sampler, graph_of, arrays, TRAIN, 3, budget=Budget(steps=steps), recipe=RECIPE, **options
    )


def test_judge_gives_the_loss_of_the_path_on_held_out_images(arrays):
    shared = weights()
    judge = judge_of(shared, arrays)
    images = torch.nn.functional.interpolate(
        normalize(torch.from_numpy(arrays.images[HELD])), size=(32, 32), mode="bilinear", antialias=True
    )
    masks = torch.from_numpy(np.ascontiguousarray(arrays.masks[HELD][:, 1::2, 1::2])).long()
    for path, loss in zip(PATHS, judge.losses(PATHS), strict=True):
        logits = shared.run(graph_of(path, (3, 32, 32)), images, output="classifier")
        assert loss == pytest.approx(make_loss(RECIPE, None)(logits, masks).item(), rel=1e-4)


def test_a_path_that_the_weights_do_not_cover_is_the_worst(arrays):
    def too_wide(decisions, shape):
        builder = GraphBuilder(shape)
        wide = builder.add("stem", "conv_3x3", ["image"], {"channels": 64, "stride": 2})
        return builder.finish(builder.add("classifier", "seg_head", [wide], {"classes": 3}))

    judge = HeldOutLoss(weights(), too_wide, arrays, TRAIN, HELD, 3, recipe=RECIPE, size_hw=(32, 32))
    assert judge.losses(PATHS[:1]) == [math.inf]


OPTIONS = {
    "uniform": {},
    "greedynas": {"drawn": 3, "kept": 2, "pool_size": 2, "settle": 0.0, "interval": 100},
    "pcnas": {"pool_size": 2, "completions": 2, "warmup": 0.2},
}


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_killed_it_goes_on_with_the_same_paths(name, arrays, tmp_path):
    def seen_by(paths):
        def priced(decisions):
            paths.append(dict(decisions))
            return price(decisions)

        return priced

    wanted, whole = [], weights()
    sampler = make(name, whole, arrays, **OPTIONS[name])
    done = train(whole, sampler, arrays, 12, price=seen_by(wanted))
    checkpoint = tmp_path / "supernet.safetensors"
    first = weights()
    with pytest.raises(Killed):
        train(
            first,
            make(name, first, arrays, **OPTIONS[name]),
            arrays,
            12,
            price=KillAt(8),
            checkpoint=checkpoint,
            checkpoint_seconds=0.0,
        )
    second, paths = weights(seed=1), []
    resumed = make(name, second, arrays, **OPTIONS[name])
    trained = train(second, resumed, arrays, 12, price=seen_by(paths), checkpoint=checkpoint)
    assert 0 < len(paths) < 12 and paths == wanted[-len(paths) :]
    assert trained.steps == done.steps == 12
    assert all(torch.equal(second.tensors[key], whole.tensors[key]) for key in whole.tensors)
    assert resumed.state() == sampler.state()


def test_training_ends_when_the_pool_has_settled(arrays):
    shared = weights()
    sampler = make("greedynas", shared, arrays, drawn=4, kept=1, pool_size=3, warmup=0.0, interval=2, settle=1.0)
    trained = train(shared, sampler, arrays, 40, price=price)
    assert sampler.settled and trained.steps == 2
