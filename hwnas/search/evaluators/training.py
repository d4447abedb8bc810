"""A candidate's score after a training of its own: short, full, or any part between, each going on from the last."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError
from hwnas.files import sha256_of_text
from hwnas.ir.fingerprint import fingerprint
from hwnas.progress import Progress, Silent
from hwnas.search.evaluators.base import (
    CALIBRATION,
    Deadline,
    Measures,
    checkpoint_name,
    existing,
    facts_of,
    outcome_of,
)
from hwnas.search.strategy import Outcome, Request
from hwnas.shapes import Shape
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Candidate, SearchSpace

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.ir.opgraph import OpGraph
    from hwnas.search.evaluators.images import Images
    from hwnas.training.recipe import Recipe
    from hwnas.training.train import Trained

LONG_STEPS = 500
"""From so many steps on, a training that is killed goes on where it was when its trial is tried again."""

Start = Callable[["OpGraph"], "Mapping[str, Tensor] | None"]
"""Weights (a whole ``state_dict``) that a network of this graph begins its training with; None: new ones."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How much a candidate is trained, and in what surroundings.

    ``steps`` are those of fidelity 1. ``time_limit_s`` bounds one evaluation. ``checkpoints`` is the folder that
    trained weights are left in (None: none are), ``threads`` torch's (None: as they are).
    """

    steps: int
    recipe: Recipe
    seed: int = 0
    time_limit_s: float = math.inf
    checkpoints: Path | None = None
    threads: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise HwnasError(f"a training of {self.steps} steps teaches nothing", "give at least 1: --train-steps 1000")
        if not self.time_limit_s > 0:
            raise HwnasError(f"a time limit of {self.time_limit_s:g} s stops everything", "give more than 0 seconds")


class TrainingEvaluator:
    """Trains a candidate for ``fidelity`` × ``plan.steps`` steps and gives its mIoU on the held-out blocks.

    A candidate's own recipe is laid over the plan's. A request that continues from a checkpoint trains the steps that
    are missing, as the end of one training of the whole length: the learning rate, and all else that changes in the
    course of a training, is where that one's would be. (The optimizer's moments begin anew.) If the checkpoint is gone,
    it is trained from the start, and the note says so.

    ``start`` gives the weights to begin with, and ``start_name`` what they are; ``reshape`` may change the graph (a
    proxy's narrower one). Values: ``miou``, ``steps`` (in all, those before the checkpoint included) and ``measures``.
    """

    def __init__(
        self,
        space: SearchSpace,
        images: Images,
        plan: TrainingPlan,
        *,
        name: str = "training",
        start: Start | None = None,
        start_name: str = "",
        reshape: Callable[[OpGraph], OpGraph] | None = None,
        settings: Mapping[str, Any] | None = None,
        measures: Measures | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._space, self._images, self._plan, self._name = space, images, plan, name
        self._start, self._start_name = start, start_name
        self._reshape, self._settings, self._measures = reshape, dict(settings or {}), dict(measures or {})
        self._progress = progress or Silent()

    def evaluate(self, request: Request) -> Outcome:
        return outcome_of(request, lambda: self._evaluate(request))

    def identity(self, request: Request) -> Mapping[str, Any]:
        candidate = self._space.decode(request.decisions)
        return {
            "evaluator": self._name,
            "candidate": fingerprint(candidate.genotype),
            "recipe": self._recipe(candidate).to_dict(),
            "data": self._images.identity,
            "size_hw": list(self._images.size_hw),
            "images": len(self._images.train),
            "seed": self._plan.seed,
            "steps": self.steps(request.fidelity),
            "start": self._start_name,
            "continue_from": checkpoint_name(request),
            **self._settings,
            **facts_of(self._measures),
        }

    def steps(self, fidelity: float) -> int:
        """Steps of a training at ``fidelity``; at least one."""
        return max(1, round(fidelity * self._plan.steps))

    def _recipe(self, candidate: Candidate) -> Recipe:
        return self._plan.recipe.with_values(candidate.recipe)

    def _evaluate(self, request: Request) -> Outcome:
        from hwnas.compiler.weights import load_weights, save_weights
        from hwnas.training.metrics import evaluate

        done, initial, note = 0, None, ""
        if request.continue_from:
            checkpoint = existing(request.continue_from)
            if checkpoint is None:
                note = "trained from the start: its checkpoint is gone"
            else:
                initial, metadata = load_weights(checkpoint)
                done = int(metadata["steps"])
        steps = self.steps(request.fidelity)
        if done >= steps:
            raise HwnasError(f"the checkpoint {request.continue_from} has {done} steps, and {steps} were asked for")
        trained = self._train(request, initial, done, steps)
        score = evaluate(trained.network, self._images.arrays, self._images.classes, indices=self._images.held, batch=8)
        values = {"miou": score.miou, "steps": float(steps)}
        for name, measure in self._measures.items():
            values[name] = measure.of(trained.network, self._images.shown(CALIBRATION))
        written = None
        if self._plan.checkpoints is not None:
            path = self._plan.checkpoints / f"{key_of(self.identity(request))}.safetensors"
            save_weights(trained.network, path, {"steps": str(steps)})
            written = str(path)
        return Outcome(request, values, note=note, checkpoint=written)

    def _train(self, request: Request, initial: Mapping[str, Tensor] | None, done: int, steps: int) -> Trained:
        candidate = self._space.decode(request.decisions)
        recipe = self._recipe(candidate)
        if not done and self._start is not None:
            initial = self._start(self._graph_at(candidate, (3, *self._images.size_hw)))
        progress: Progress = self._progress
        if math.isfinite(self._plan.time_limit_s):
            progress = Deadline(progress, self._plan.time_limit_s)
        partial = self._partial(request, steps - done)
        try:
            trained = self._run(candidate, recipe, initial, done, steps, progress, partial)
        except Exception:  # an outcome; only what was killed goes on
            if partial is not None:
                partial.unlink(missing_ok=True)
            raise
        if partial is not None:
            partial.unlink(missing_ok=True)
        return trained

    def _partial(self, request: Request, steps: int) -> Path | None:
        """Where a long training leaves what it has done so far."""
        if self._plan.checkpoints is None or steps < LONG_STEPS:
            return None
        return self._plan.checkpoints / f"{key_of(self.identity(request))}.partial.safetensors"

    def _run(
        self,
        candidate: Candidate,
        recipe: Recipe,
        initial: Mapping[str, Tensor] | None,
        done: int,
        steps: int,
        progress: Progress,
        partial: Path | None,
    ) -> Trained:
        from hwnas.training.schedule import Budget, Spent
        from hwnas.training.train import train_network

        return train_network(
            lambda shape: self._graph_at(candidate, shape),
            self._images.arrays,
            self._images.train,
            self._images.classes,
            recipe=recipe,
            budget=Budget(steps=steps),
            spent=Spent(done),
            initial=initial,
            seed=self._plan.seed,
            device=self._plan.device,
            threads=self._plan.threads,
            checkpoint=partial,
            progress=progress,
            label=f"train a candidate ({self._name})",
        )

    def _graph_at(self, candidate: Candidate, shape: Shape) -> OpGraph:
        graph = expand(candidate.genotype, shape, self._images.classes)
        return self._reshape(graph) if self._reshape else graph


def key_of(identity: Mapping[str, Any]) -> str:
    """20 hex digits, equal for equal identities."""
    import json

    return sha256_of_text(json.dumps(identity, sort_keys=True, separators=(",", ":")))[:20]
