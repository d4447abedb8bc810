"""A training done in parts is the training done at once; what was begun on some images goes on with others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_resume import ARRAYS, RECIPE, train
from tiny_world import CLASSES, tiny

from hwnas.errors import RunError
from hwnas.training.checkpoint import read_checkpoint, weights_in
from hwnas.training.schedule import Budget
from hwnas.training.train import train_network

STEPS = 8


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_parts_end_in_the_bits_of_the_whole(tmp_path: Path) -> None:
    whole = train(steps=STEPS)
    checkpoint = tmp_path / "c.safetensors"
    for until, steps in ((0.25, 2), (0.25, 2), (0.75, 6)):
        part = train(steps=STEPS, until=until, checkpoint=checkpoint)
        assert part.fitted.spent.steps == steps
        assert not same(part.network, whole.network)
    done = train(steps=STEPS, checkpoint=checkpoint)
    assert done.fitted.spent.steps == STEPS and same(done.network, whole.network)


def test_parts_cross_into_the_phase_of_whole_images(tmp_path: Path) -> None:
    recipe = RECIPE.with_values({"full_size": 0.5, "ema": 0.9})
    whole = train(recipe=recipe, steps=STEPS)
    for until in (0.375, 0.625, 1.0):
        part = train(recipe=recipe, steps=STEPS, until=until, checkpoint=tmp_path / "c.safetensors")
    assert same(part.network, whole.network)


def on_other_images(begun: Path, checkpoint: Path, graph_at=tiny, steps: int = STEPS):
    return train_network(
        graph_at,
        ARRAYS,
        np.arange(12),
        CLASSES,
        recipe=RECIPE,
        budget=Budget(steps=steps),
        seed=5,
        begun=begun,
        checkpoint=checkpoint,
    )


def test_what_was_begun_goes_on_with_other_images(tmp_path: Path) -> None:
    begun, checkpoint = tmp_path / "begun.safetensors", tmp_path / "c.safetensors"
    train(steps=STEPS, until=0.25, checkpoint=begun)
    before = begun.read_bytes()
    done = on_other_images(begun, checkpoint)
    assert done.fitted.spent.steps == STEPS and done.fitted.losses[0][0] > 2
    assert begun.read_bytes() == before
    again = on_other_images(begun, checkpoint)  # its own checkpoint comes first: nothing is left to do
    assert same(done.network, again.network)
    assert read_checkpoint(checkpoint)[1]["identity"]["data"]["images"] == 12


def test_it_starts_from_the_weights_and_moments_that_were_left(tmp_path: Path) -> None:
    begun = tmp_path / "begun.safetensors"
    train(steps=STEPS, until=0.25, checkpoint=begun)
    started = tmp_path / "c.safetensors"
    with pytest.raises(RuntimeError):
        train(steps=STEPS, begun=begun, checkpoint=started, progress=Broken())
    for part in ("network", "optimizer"):
        left, found = weights_in(begun, part), weights_in(started, part)
        assert left.keys() == found.keys() and all(torch.equal(left[name], found[name]) for name in left)


class Broken:
    """Fails when the training is about to step."""

    def task(self, label: str, total: float):
        raise RuntimeError


def test_error_on_what_another_network_or_budget_began(tmp_path: Path) -> None:
    begun = tmp_path / "begun.safetensors"
    train(steps=STEPS, until=0.25, checkpoint=begun)
    with pytest.raises(RunError, match=r"is of another training: budget\.steps was 8, not 9"):
        on_other_images(begun, tmp_path / "a.safetensors", steps=9)
    with pytest.raises(RunError, match="is of another training: network was"):
        on_other_images(begun, tmp_path / "b.safetensors", graph_at=lambda shape: tiny(shape, channels=4))
