"""Two processes for one training, by gloo: what their gradients are, and how it ends when one of them fails."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import light_peers
import peers
import pytest
import torch
from torch import Tensor

from hwnas.compiler.weights import load_weights
from hwnas.errors import RunError
from hwnas.training.group import group_of

Gradients = dict[str, dict[str, Tensor]]


@pytest.fixture(scope="module")
def gradients(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gradients, Gradients]:
    """What the first and the second process found."""
    folder = tmp_path_factory.mktemp("gradients")
    with group_of(2, partial(peers.work, folder)) as group:
        first = peers.both(folder, group)
    return first, {name: load_weights(folder / f"{name}.safetensors")[0] for name in first}


def assert_close(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-6, msg=name)


def test_gradients_are_those_of_one_process_with_the_double_batch(gradients: tuple[Gradients, Gradients]) -> None:
    """Where BatchNorm uses running statistics, which do not depend on the batch."""
    first, second = gradients
    alone, loss = peers.gradients_of(peers.batch_of(8), frozen_statistics=True)
    for found in (first["frozen"], second["frozen"]):
        assert_close(found, {**alone, "loss": torch.tensor(loss)})


def test_batchnorm_normalises_with_each_process_s_own_batch(gradients: tuple[Gradients, Gradients]) -> None:
    """So the gradients are the mean of those of the two halves."""
    images, masks = peers.batch_of(8)
    halves = [
        peers.gradients_of((images[part], masks[part]), frozen_statistics=False) for part in (slice(4), slice(4, 8))
    ]
    mean = {name: (halves[0][0][name] + halves[1][0][name]) / 2 for name in halves[0][0]}
    for found in gradients:
        assert_close(found["live"], {**mean, "loss": torch.tensor((halves[0][1] + halves[1][1]) / 2)})


def test_process_that_dies_ends_the_training_and_another_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match="training on device 2 of 2 failed: it was killed by signal 9") as raised,
        group_of(2, partial(peers.dying, tmp_path)) as group,
    ):
        peers.train(tmp_path, group)
    assert "--resume" in raised.value.hint

    with group_of(2, partial(peers.trained, tmp_path)) as group:
        trained = peers.train(tmp_path, group)
    assert trained.fitted.spent.steps == peers.STEPS
    theirs = load_weights(tmp_path / "second.safetensors")[0]
    for name, parameter in trained.network.named_parameters():
        assert torch.equal(parameter, theirs[name]), name
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps[-1] == peers.STEPS
    with pytest.raises(RunError, match="devices was 2, not 1"):
        peers.train(tmp_path, None)


def test_process_that_fails_before_it_begins_says_why() -> None:
    with (
        pytest.raises(RunError, match="device 2 of 2 failed: MemoryError: no room for the network"),
        group_of(2, light_peers.raising) as group,
    ):
        group.meet()


def test_failure_of_the_first_process_ends_the_others(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ours"), group_of(2, partial(light_peers.waiting, tmp_path)) as group:
        group.meet()
        raise ValueError("ours")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
