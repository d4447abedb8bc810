"""A training that is killed at any step ends in the same bits as one that was not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_world import CLASSES, colored_tiles, tiny, with_cell

from hwnas.compiler.network import compile_graph
from hwnas.data.cache import Arrays
from hwnas.errors import HwnasError, RunError
from hwnas.training.checkpoint import read_checkpoint, weights_in
from hwnas.training.distill import NetworkTeacher
from hwnas.training.logs import Csv, Log
from hwnas.training.loop import DivergedError
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from hwnas.training.train import Trained, train_network

RECIPE = Recipe(lr=0.02, batch=2, scale=(0.8, 1.2), crop=0.5)
STEPS = 9
ARRAYS = colored_tiles()


class Killed(BaseException):
    """What no one catches."""


class KillAt:
    """A sink that ends everything at a step, before that step's checkpoint."""

    def __init__(self, step: int) -> None:
        self.step = step

    def write(self, line):
        if line["step"] == self.step:
            raise Killed

    def rewind(self, step):
        pass

    def close(self):
        pass


def train(graph_at=tiny, recipe: Recipe = RECIPE, arrays: Arrays = ARRAYS, *, steps: int = STEPS, **options) -> Trained:
    return train_network(
        graph_at, arrays, np.arange(10), CLASSES, recipe=recipe, budget=Budget(steps=steps), **{"seed": 5, **options}
    )


def teacher() -> NetworkTeacher:
    def larger(shape):
        return tiny(shape, channels=12)

    return NetworkTeacher(compile_graph(larger((3, 64, 64)), seed=9), larger, CLASSES, "larger")


CASES = {
    "adamw": (tiny, {}, {}),
    "sgd, average, whole images": (
        tiny,
        {"optimizer": "sgd", "ema": 0.9, "full_size": 0.4, "balance": "median", "loss": "ohem+lovasz"},
        {},
    ),
    "drop path, auxiliary, teacher": (
        with_cell,
        {"drop_path": 0.6, "schedule": "cosine", "temperature": 2.0},
        {"teacher": teacher()},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_killed_at_random_steps_ends_in_the_same_bits(case: str, tmp_path: Path) -> None:
    graph_at, changes, options = CASES[case]
    recipe = RECIPE.with_values(changes)
    whole = train(graph_at, recipe, log=tmp_path / "whole.jsonl", **options)
    rng = np.random.default_rng(len(case))
    for attempt in range(3):
        checkpoint, log = tmp_path / f"{attempt}.safetensors", tmp_path / f"{attempt}.jsonl"
        for step in sorted(rng.choice(np.arange(1, STEPS + 1), 2, replace=False)):
            sinks = (KillAt(int(step)),)
            with pytest.raises(Killed):
                train(
                    graph_at,
                    recipe,
                    checkpoint=checkpoint,
                    checkpoint_seconds=float(rng.choice([0.0, 0.02, 99.0])),
                    log=Log(log, every=1, sinks=sinks),
                    **options,
                )
        ended = train(graph_at, recipe, checkpoint=checkpoint, log=Log(log, every=1), **options)
        assert_same_weights(ended, whole)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
        mean = np.mean([line["loss"] for line in lines])
        assert mean == pytest.approx(whole.fitted.last_loss, rel=1e-9) or recipe.full_size


def assert_same_weights(one: Trained, other: Trained) -> None:
    ours, theirs = one.network.state_dict(), other.network.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    first = train(checkpoint=tmp_path / "c.safetensors")
    again = train(checkpoint=tmp_path / "c.safetensors", log=Log(sinks=(KillAt(1),), every=1))
    assert_same_weights(first, again)
    assert again.fitted.losses == first.fitted.losses


def test_repeatable_is_the_same_twice_and_takes_no_minutes() -> None:
    assert_same_weights(train(repeatable=True), train(repeatable=True))
    with pytest.raises(HwnasError, match="follows the clock"):
        train_network(tiny, ARRAYS, np.arange(10), CLASSES, recipe=RECIPE, budget=Budget(seconds=1.0), repeatable=True)


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    train(steps=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def half_done(tmp_path: Path, **options) -> Path:
    path = tmp_path / "c.safetensors"
    with pytest.raises(Killed):
        train(checkpoint=path, checkpoint_seconds=0.0, log=Log(every=1, sinks=(KillAt(3),)), **options)
    return path


def other_data() -> Arrays:
    return Arrays(255 - ARRAYS.images, ARRAYS.masks, ARRAYS.keys)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 6}, "seed was 5, not 6"),
        ({"recipe": RECIPE.with_values({"lr": 0.01})}, "recipe.lr was 0.02, not 0.01"),
        ({"arrays": other_data()}, "data.digest"),
        ({"graph_at": lambda shape: tiny(shape, channels=12)}, "network"),
        ({"steps": 10}, "budget.steps was 9, not 10"),
        ({"teacher": teacher()}, 'teacher was "", not "larger"'),
    ],
)
def test_error_names_what_differs_from_the_checkpoint(tmp_path: Path, changes: dict, named: str) -> None:
    path = half_done(tmp_path)
    with pytest.raises(RunError, match=named):
        train(checkpoint=path, **changes)


def test_error_on_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = half_done(tmp_path)
    content = path.read_bytes()
    for damaged in (content[:200], content[: len(content) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(RunError) as caught:
            train(checkpoint=path)
        assert "delete" in caught.value.hint
    assert not list(tmp_path.glob(".c*")), "nothing is left beside"


def test_divergence_keeps_the_last_good_state(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    wild = RECIPE.with_values({"optimizer": "sgd", "lr": 1e30, "warmup": 0.0, "clip_norm": 0.0})
    with pytest.raises(DivergedError) as caught:
        train(recipe=wild, checkpoint=path, checkpoint_seconds=0.0)
    assert str(path) in caught.value.hint
    tensors, document = read_checkpoint(path)
    assert all(torch.isfinite(value).all() for value in tensors.values() if value.is_floating_point())
    assert f"after step {document['steps']} " in caught.value.hint
    tamer = train(recipe=RECIPE, initial=weights_in(path, "network"))
    assert np.isfinite(tamer.fitted.last_loss)


def test_csv_holds_each_step_once_after_a_kill(tmp_path: Path) -> None:
    place = tmp_path / "train.csv"
    path = tmp_path / "c.safetensors"
    for kill in (4, 0):
        try:
            train(checkpoint=path, checkpoint_seconds=1e9, log=Log(every=1, sinks=(Csv(place), KillAt(kill))))
        except Killed:
            place.write_text(place.read_text() + "4,0.")  # cut off while it was written
    lines = place.read_text().splitlines()
    assert lines[0] == "step,seconds,lr,loss"
    assert [line.split(",")[0] for line in lines[1:]] == [str(step) for step in range(1, STEPS + 1)]
