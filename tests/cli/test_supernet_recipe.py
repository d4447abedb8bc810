"""The recipe and the teacher of a search's supernet: what is refused before anything is trained."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.settings import Settings
from hwnas.cli.stages import searching
from hwnas.cli.stages.beforehand import check_supernet
from hwnas.cli.stages.relaxing import recipe_of
from hwnas.errors import HwnasError
from hwnas.search.methods import METHODS
from hwnas.supernet.train import SUPERNET_RECIPE


def settings(**given) -> Settings:
    return Settings("streets", (96, 128), 10.0, "p50", 1.0, "realtime", "evolution", 1, 0, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"supernet_recipe": {"los": "ohem"}}, "there is no field 'los'"),
        ({"supernet_recipe": {"loss": "hinge"}}, "loss cannot be 'hinge'"),
        ({"supernet_recipe": {"drop_path": 0.2}}, "trained without drop_path"),
        ({"supernet_recipe": {"ema": 0.9}, "method": "darts"}, "trained without ema"),
        ({"supernet_teacher": "fast-scnn"}, "the teacher fast-scnn has no weights"),
        ({"supernet_recipe": {"lr": 0.1}, "evaluation": EvaluatorOptions(evaluator="training")}, "trains no supernet"),
        ({"supernet_teacher": "fast-scnn", "strategy": "econas"}, "trains no supernet"),
    ],
)
def test_error_on_what_a_supernet_cannot_be_trained_by(given, said):
    given = {"strategy": "evolution", **given}
    strategy = given.pop("strategy")
    base = settings(**given)
    with pytest.raises(HwnasError, match=said):
        check_supernet(Settings(**{**vars(base), "strategy": strategy}))


def test_what_it_can_be_trained_by_passes():
    check_supernet(settings(supernet_recipe={"loss": "ohem+dice", "label_smoothing": 0.1}))
    check_supernet(settings(supernet_recipe={"precision": "bf16"}, method="proxyless"))


def test_fasterseg_is_searched_by_its_authors_loss():
    recipe = recipe_of(METHODS.get("fasterseg"))
    assert (recipe.loss, recipe.auxiliary_weight) == ("ohem", 1.0)


def test_paths_are_judged_by_the_recipe_that_they_are_trained_by(monkeypatch):
    """By its loss: a pool that is best by another loss is another pool."""
    seen = []

    def judge(*facts, recipe, size_hw):
        seen.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr("hwnas.supernet.judge.HeldOutLoss", judge)
    monkeypatch.setattr(searching, "_fresh_weights", lambda field, data, seed: None)
    arrays = SimpleNamespace(images=np.zeros((1, 64, 96, 3), np.uint8))
    data = SimpleNamespace(arrays=arrays, train=None, held=None, classes=3)
    field = SimpleNamespace(pricing=SimpleNamespace(graph=None))
    rest = {"seconds": 1.0, "seed": 0, "threads": 1, "checkpoint": None, "log": None, "progress": None}
    ohem = SUPERNET_RECIPE.with_values({"loss": "ohem"})
    for recipe in (None, ohem):
        with pytest.raises(KeyboardInterrupt):
            searching.train_supernet(field, data, sampler="greedynas", recipe=recipe, **rest)
    assert seen == [SUPERNET_RECIPE, ohem]
