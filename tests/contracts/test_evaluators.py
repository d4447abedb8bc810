"""The contract suite on every evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from evaluator_contract import CHECKS, Make
from tiny_nets import CLASSES, SIZE_HW, TinySpace

from hwnas.compiler.network import compile_graph
from hwnas.ir.opgraph import OpGraph
from hwnas.search.backbone import Backbone, reference_graph
from hwnas.search.evaluators.base import IdentifiedEvaluator
from hwnas.search.evaluators.cached import Cached, EvaluationFile
from hwnas.search.evaluators.features import FeatureEvaluator
from hwnas.search.evaluators.images import Images
from hwnas.search.evaluators.ladder import Ladder, Rung
from hwnas.search.evaluators.proxy import Proxy, proxy_evaluator
from hwnas.search.evaluators.slices import SliceScores
from hwnas.search.evaluators.training import TrainingEvaluator, TrainingPlan
from hwnas.shapes import Shape
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions
from hwnas.supernet.evaluate import SliceEvaluator
from hwnas.supernet.shared import SharedWeights
from hwnas.training.recipe import Recipe

SPACE = TinySpace()
RECIPE = Recipe(batch=4, crop=1.0)


def slices(images: Images, folder: Path) -> IdentifiedEvaluator:
    def graph_of(decisions: Decisions, shape: Shape) -> OpGraph:
        return expand(SPACE.decode(decisions).genotype, shape, CLASSES)

    shared = SharedWeights.for_space(SPACE, (3, *SIZE_HW), CLASSES, np.random.default_rng(0), samples=10)
    evaluator = SliceEvaluator(shared, images.arrays, images.train, images.held, CLASSES)
    return SliceScores(SPACE, evaluator, graph_of, supernet="abc", data=images.identity)


def training(images: Images, folder: Path) -> IdentifiedEvaluator:
    return TrainingEvaluator(SPACE, images, TrainingPlan(steps=4, recipe=RECIPE, checkpoints=folder))


def proxy(images: Images, folder: Path) -> IdentifiedEvaluator:
    return proxy_evaluator(SPACE, images, TrainingPlan(steps=8, recipe=RECIPE), Proxy(0.5, 1.0, 0.5, 0.75))


def cached(images: Images, folder: Path) -> IdentifiedEvaluator:
    return Cached(training(images, folder), EvaluationFile(folder / "evaluations.jsonl"))


def ladder(images: Images, folder: Path) -> IdentifiedEvaluator:
    return Ladder([Rung(slices(images, folder), 0.1), Rung(training(images, folder), 1.0)])


def features(images: Images, folder: Path) -> IdentifiedEvaluator:
    tensors = compile_graph(reference_graph(SPACE, (3, *SIZE_HW), CLASSES), seed=1).state_dict()
    plan = TrainingPlan(steps=6, recipe=RECIPE)
    return FeatureEvaluator(SPACE, images, plan, Backbone(tensors, "drawn from seed 1"), cache=folder)


EVALUATORS: Mapping[str, Make] = {
    "features": features,
    "slices": slices,
    "training": training,
    "proxy": proxy,
    "cached": cached,
    "ladder": ladder,
}


@pytest.mark.parametrize("name", EVALUATORS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_evaluator_keeps_the_contract(name: str, check: Callable[[Make, Path], None], tmp_path: Path) -> None:
    check(EVALUATORS[name], tmp_path)
