"""What evaluators measure beside the mIoU, and that a candidate's own recipe is what it is trained by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_nets import CLASSES, SIZE_HW, TinySpace, tiny_images

from hwnas.compiler.network import Network, compile_graph
from hwnas.search.evaluators.base import CALIBRATION, Measure, Shown
from hwnas.search.evaluators.cached import Cached, EvaluationFile
from hwnas.search.evaluators.proxy import Proxy, proxy_evaluator
from hwnas.search.evaluators.slices import SliceScores
from hwnas.search.evaluators.training import TrainingEvaluator, TrainingPlan
from hwnas.search.strategy import Request
from hwnas.skeletons.base import expand
from hwnas.spaces.recipes import FixedSpace, RecipeSpace
from hwnas.training.recipe import Recipe
from hwnas.training.recipe_choices import recipe_choices

SPACE = TinySpace()
RECIPE = Recipe(batch=4, crop=1.0)
REQUEST = Request({"first": "conv_1x1", "depth": 1}, 0)


class Looking:
    """Notes what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[Network, Shown]] = []

    def __call__(self, network: Network, shown: Shown) -> float:
        self.seen.append((network, shown))
        return 0.25


def test_a_training_is_measured_on_held_out_images_and_calibrated_on_others(tmp_path: Path) -> None:
    images, looking = tiny_images(), Looking()
    plan = TrainingPlan(steps=2, recipe=RECIPE)
    plain = TrainingEvaluator(SPACE, images, plan)
    measuring = TrainingEvaluator(SPACE, images, plan, measures={"miou_int8": Measure("by looking", looking)})
    cached = Cached(measuring, EvaluationFile(tmp_path / "evaluations.jsonl"))
    outcome = cached.evaluate(REQUEST)
    assert outcome.values["miou_int8"] == 0.25 and 0 <= outcome.values["miou"] <= 1
    ((network, shown),) = looking.seen
    assert not network.training and shown.classes == CLASSES
    assert np.array_equal(shown.images, images.arrays.images[images.held])
    assert np.array_equal(shown.masks, images.arrays.masks[images.held])
    assert len(shown.calibration) == min(CALIBRATION, len(images.train))
    held = {picture.tobytes() for picture in shown.images}
    assert not held & {picture.tobytes() for picture in shown.calibration}

    assert cached.evaluate(REQUEST).values == outcome.values and len(looking.seen) == 1
    assert "measures" not in plain.identity(REQUEST)
    assert measuring.identity(REQUEST)["measures"] == {"miou_int8": "by looking"}


def test_a_proxy_is_measured_at_its_own_size() -> None:
    looking, plan = Looking(), TrainingPlan(steps=2, recipe=RECIPE)
    measures = {"miou_int8": Measure("by looking", looking)}
    proxy_evaluator(SPACE, tiny_images(), plan, Proxy(resolution=0.5), measures=measures).evaluate(REQUEST)
    ((_, shown),) = looking.seen
    assert shown.images.shape[1:3] == shown.calibration.shape[1:3] == (32, 32)


class Slices:
    """Stands in for a supernet's slices."""

    size_hw = SIZE_HW

    def score(self, graph):
        return replace(self._score, miou=0.5)

    def network(self, graph):
        return compile_graph(graph, seed=0).eval()


def test_slices_are_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from hwnas.data.scoring import score_of

    images, looking = tiny_images(), Looking()
    slices = Slices()
    monkeypatch.setattr(Slices, "_score", score_of(np.eye(2, dtype=np.int64)), raising=False)
    scores = SliceScores(
        SPACE,
        slices,  # type: ignore[arg-type]
        lambda decisions, shape: expand(SPACE.decode(decisions).genotype, shape, CLASSES),
        measures={"miou_int8": Measure("by looking", looking)},
        shown=lambda: images.shown(CALIBRATION),
    )
    assert scores.evaluate(REQUEST).values == {"miou": 0.5, "miou_int8": 0.25}
    assert scores.identity(REQUEST)["measures"] == {"miou_int8": "by looking"}


def test_a_candidate_is_trained_by_its_own_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    from hwnas.training import train

    calls = []
    original = train.train_network

    def watched(*args: object, **kwargs: object) -> object:
        calls.append(kwargs["recipe"])
        return original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(train, "train_network", watched)
    one = FixedSpace(SPACE.decode(REQUEST.decisions).genotype)
    space = RecipeSpace(one, recipe_choices(["lr=0.001,0.02", "loss=ce,dice"], RECIPE))
    evaluator = TrainingEvaluator(space, tiny_images(), TrainingPlan(steps=2, recipe=RECIPE))
    requests = [Request({"recipe.lr": lr, "recipe.loss": "dice"}, i) for i, lr in enumerate((0.001, 0.02))]
    scores = [evaluator.evaluate(each) for each in requests]
    assert [each.status for each in scores] == ["ok", "ok"]
    assert calls == [replace(RECIPE, lr=lr, loss="dice") for lr in (0.001, 0.02)]
    first, second = (evaluator.identity(each) for each in requests)
    assert first["candidate"] == second["candidate"] and first["recipe"] != second["recipe"]
