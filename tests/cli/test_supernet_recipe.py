"""The recipe and the teacher of a search's supernet: what is refused before anything is trained."""

from __future__ import annotations

import pytest

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.settings import Settings
from hwnas.cli.stages.beforehand import check_supernet
from hwnas.cli.stages.relaxing import recipe_of
from hwnas.errors import HwnasError
from hwnas.search.methods import METHODS


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
