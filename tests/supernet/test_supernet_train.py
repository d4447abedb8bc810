"""Training a small supernet: it learns, it counts, and a killed one goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hwnas.data.cache import Arrays
from hwnas.errors import HwnasError, RunError
from hwnas.ir.opgraph import GraphBuilder
from hwnas.spaces.base import Choice
from hwnas.spaces.decisions import uniform_decisions
from hwnas.supernet.evaluate import SliceEvaluator
from hwnas.supernet.samplers.uniform import Uniform
from hwnas.supernet.shared import SharedWeights
from hwnas.supernet.train import train_supernet
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from hwnas.training.train import train_network

RECIPE = Recipe(lr=0.02, batch=4, scale=(1.0, 1.0), crop=0.5, loss_stride=2)


class Small:
    name = "small"
    choices = (Choice("width", (4, 8)), Choice("op", ("mbconv_e2_k3", "conv_3x3")))

    def decode(self, decisions):
        raise NotImplementedError

    def sample(self, rng):
        return uniform_decisions(self, rng)


def graph_of(decisions, shape):
    builder = GraphBuilder(shape)
    source = builder.add("stem", "conv_3x3", ["image"], {"channels": decisions["width"], "stride": 2})
    source = builder.add("block", decisions["op"], [source], {"channels": decisions["width"]})
    logits = builder.add("classifier", "seg_head", [source], {"classes": 3})
    size = {"height": shape[1], "width": shape[2]}
    return builder.finish(builder.add("upsample", "resize_bilinear", [logits], size))


PATHS = [{"width": width, "op": op} for width in (4, 8) for op in ("mbconv_e2_k3", "conv_3x3")]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Images of 8x8-pixel tiles whose colour is their class."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (12, 8, 8), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    images = np.eye(3, dtype=np.uint8)[masks] * 150 + rng.integers(0, 60, (12, 64, 64, 3), dtype=np.uint8)
    return Arrays(images, masks, tuple(map(str, range(12))))


def weights(seed: int = 0) -> SharedWeights:
    graphs = [graph_of(path, (3, 64, 64)) for path in PATHS]
    return SharedWeights.of(graphs, np.random.default_rng(seed))


def train(shared, arrays, steps, **options):
    return train_supernet(
        shared,
        Uniform(Small()),
        graph_of,
        arrays,
        np.arange(10),
        3,
        budget=Budget(steps=steps),
        **{"price": lambda decisions: float(decisions["width"]), "recipe": RECIPE, **options},
    )


def test_slices_learn_and_start_a_networks_training(arrays):
    shared = weights()
    evaluator = SliceEvaluator(shared, arrays, np.arange(10), np.array([10, 11]), 3, size_hw=(32, 32))
    trained = train(shared, arrays, 80)
    assert trained.steps == trained.paths == 80
    assert 4 < trained.mean_path_ms < 8
    assert all(evaluator.score(graph_of(path, (3, 32, 32))).miou > 0.7 for path in PATHS)
    assert evaluator.score(graph_of(PATHS[0], (3, 32, 32))) == evaluator.score(graph_of(PATHS[0], (3, 32, 32)))

    initial = evaluator.network(graph_of(PATHS[0], (3, 32, 32))).state_dict()
    inherited = train_network(
        lambda shape: graph_of(PATHS[0], shape),
        arrays,
        np.arange(10),
        3,
        recipe=RECIPE,
        budget=Budget(steps=2),
        initial=initial,
    )
    assert inherited.fitted.last_loss < 0.7


def test_several_paths_a_step(arrays):
    assert train(weights(), arrays, 4, paths_per_step=2).paths == 8


class Killed(BaseException):
    pass


class KillAt:
    """A price that is asked for once a path, and ends everything at the path of that number."""

    def __init__(self, path: int) -> None:
        self.left = path

    def __call__(self, decisions):
        self.left -= 1
        if not self.left:
            raise Killed
        return float(decisions["width"])


def test_a_killed_training_goes_on_to_the_same_bits(arrays, tmp_path):
    path, log = tmp_path / "supernet.safetensors", tmp_path / "log.jsonl"
    whole = weights()
    wanted = train(whole, arrays, 8)
    for kill in (3, 4, 9):
        shared = weights(seed=1 if path.exists() else 0)
        try:
            done = train(shared, arrays, 8, checkpoint=path, checkpoint_seconds=0.0, log=log, price=KillAt(kill))
        except Killed:
            continue
    assert all(torch.equal(shared.tensors[key], whole.tensors[key]) for key in whole.tensors)
    assert (done.steps, done.paths, done.mean_path_ms) == (8, 8, wanted.mean_path_ms)
    assert done.fitted.losses == wanted.fitted.losses
    third = weights(seed=2)
    assert train(third, arrays, 8, checkpoint=path).steps == 8  # nothing is left to do
    assert all(torch.equal(third.tensors[key], shared.tensors[key]) for key in third.tensors)
    assert json.loads(log.read_text().splitlines()[-1])["step"] == 8


def test_error_names_what_differs_from_the_checkpoint(arrays, tmp_path):
    path = tmp_path / "supernet.safetensors"
    train(weights(), arrays, 1, checkpoint=path)
    with pytest.raises(RunError, match="seed was 0, not 3"):
        train(weights(), arrays, 2, checkpoint=path, seed=3)


def test_error_on_a_damaged_checkpoint(arrays, tmp_path):
    path = tmp_path / "supernet.safetensors"
    train(weights(), arrays, 1, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError):
        train(weights(), arrays, 2, checkpoint=path)


class Sure:
    """A teacher that gives every pixel to one class."""

    identity = "sure"

    def __init__(self, classes: int = 3) -> None:
        self.classes = classes

    def at(self, size_hw):
        def logits(images):
            shown = torch.zeros(len(images), self.classes, *size_hw)
            shown[:, 1] = 9.0
            return shown

        return logits


def test_a_teacher_s_logits_are_learned_beside_the_labels(arrays):
    alone, taught = weights(), weights()
    train(alone, arrays, 10)
    done = train(taught, arrays, 10, teacher=Sure(), recipe=RECIPE.with_values({"distillation": 20.0}))
    images = torch.from_numpy(arrays.images[:2]).permute(0, 3, 1, 2).float() / 255
    shares = []
    for shared in (alone, taught):
        with torch.no_grad():
            shares.append(float((shared.run(graph_of(PATHS[0], (3, 64, 64)), images).argmax(1) == 1).float().mean()))
    assert shares[1] > shares[0] + 0.2 and done.steps == 10
    with pytest.raises(HwnasError, match="knows 4 classes"):
        train(weights(), arrays, 1, teacher=Sure(4))
