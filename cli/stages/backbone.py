"""The stage that gives a space's backbone its weights: a user's pretrained ones, or a training on ``train``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cli.stages.data import TrainingData
from hwnas.cli.stages.evaluating import fitting_recipe
from hwnas.cli.stages.training import RECIPE
from hwnas.clock import Clock
from hwnas.compiler.keymap import load_keymap, match, read_pretrained
from hwnas.compiler.weights import load_weights, save_weights
from hwnas.files import sha256_of, write_json
from hwnas.search.backbone import HEADS, Backbone, backbone_graph, backbone_state
from hwnas.spaces.base import SearchSpace
from hwnas.training.schedule import Budget
from hwnas.training.train import train_network

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.progress import Progress

BACKBONE, REPORT = "backbone.safetensors", "backbone.json"


def load_backbone(folder: Path) -> Backbone:
    """What the stage left in a run directory."""
    path = folder / BACKBONE
    tensors, metadata = load_weights(path)
    return Backbone(tensors, f"{metadata['trained_by']} {sha256_of(path)[:16]}")


def take_pretrained(space: SearchSpace, data: TrainingData, file: Path, keymap: str, run: Path, say: Progress) -> None:
    """Bring the weights in ``file`` to the space's backbone; what matched is said and written."""
    shape = (3, *data.arrays.images.shape[1:3])
    found = match(read_pretrained(file), load_keymap(keymap), backbone_state(space, shape, data.classes))
    for line in found.lines():
        say.say(line)
    _write(run, found.tensors, {"source": str(file), "keymap": keymap, "seconds": 0.0, **found.to_dict()}, "given")


def train_backbone(
    space: SearchSpace,
    data: TrainingData,
    run: Path,
    *,
    seconds: float,
    seed: int,
    threads: int,
    progress: Progress,
    clock: Clock = time.monotonic,
) -> None:
    """Train the backbone with a plain head on the training part of ``train``, for ``seconds``."""
    checkpoint = run / "backbone.training.safetensors"
    trained = train_network(
        lambda shape: backbone_graph(space, shape, data.classes),
        data.arrays,
        data.train,
        data.classes,
        recipe=fitting_recipe(RECIPE, space, data.images),
        budget=Budget(seconds=seconds),
        seed=seed,
        threads=threads,
        checkpoint=checkpoint,
        log=run / "backbone.jsonl",
        progress=progress,
        label="train the backbone",
        clock=clock,
    )
    tensors = {name: tensor for name, tensor in trained.network.state_dict().items() if not name.startswith(HEADS)}
    spent = trained.fitted.spent
    facts = {"source": data.dataset.spec, "keymap": None, "seconds": round(spent.seconds, 1), "steps": spent.steps}
    _write(run, tensors, facts, f"{spent.steps} steps")
    checkpoint.unlink(missing_ok=True)


def _write(run: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], trained_by: str) -> None:
    save_weights(tensors, run / BACKBONE, {"trained_by": trained_by})
    write_json(run / REPORT, dict(facts))
