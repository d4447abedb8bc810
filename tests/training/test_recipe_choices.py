"""``--vary`` in words → choices, checked by the recipe that they are fields of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwnas.errors import HwnasError
from hwnas.spaces.base import Choice
from hwnas.training.recipe import Recipe
from hwnas.training.recipe_choices import GROUP, USUAL, recipe_choices

BASE = Recipe()


def test_options_are_json_or_words() -> None:
    lr, scale, loss = recipe_choices(["loss=ce,ce+lovasz", "scale=[0.5,1.25],[0.75,1.25]", "lr=0.003,1e-2"], BASE)
    assert lr == Choice("recipe.lr", (0.003, 0.01))
    assert scale == Choice("recipe.scale", ((0.5, 1.25), (0.75, 1.25)))
    assert loss == Choice("recipe.loss", ("ce", "ce+lovasz"))


def test_fields_have_usual_options() -> None:
    (lr,) = recipe_choices(["lr"], BASE)
    assert lr.options == USUAL["lr"]
    assert {choice.name for choice in recipe_choices(["usual"], BASE)} == {f"recipe.{field}" for field in GROUP}


@pytest.mark.parametrize("field", sorted(USUAL))
def test_every_usual_option_is_a_recipe(field: str) -> None:
    for option in USUAL[field]:
        assert getattr(BASE.with_values({field: option}), field) == option


def test_a_field_is_active_only_where_it_matters() -> None:
    optimizer, momentum = recipe_choices(["momentum=0.8,0.9", "optimizer"], BASE)
    assert momentum.active_if == {optimizer.name: ("sgd",)}
    given = ["label_smoothing", "ohem_threshold=0.6,0.8", "loss=ce,ohem,dice"]
    conditions = {choice.name: dict(choice.active_if) for choice in recipe_choices(given, BASE)}
    assert next(iter(conditions)) == "recipe.loss"
    assert conditions["recipe.ohem_threshold"] == {"recipe.loss": ("ohem",)}
    assert conditions["recipe.label_smoothing"] == {"recipe.loss": ("ce", "ohem")}
    (always,) = recipe_choices(["momentum=0.8,0.9"], replace(BASE, optimizer="sgd"))
    assert not always.active_if


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["lr=0"], "lr must be a number > 0"),
        (["lr=a,b"], "lr must be a number"),
        (["lr=0.1"], "no choice between 0.1"),
        (["lr=0.1,0.1"], "no choice between"),
        (["lr="], "no choice between nothing"),
        (["lr", "lr=0.1,0.2"], "lr is varied twice"),
        (["usual", "loss"], "loss is varied twice"),
        (["learning=0.1,0.2"], "no field 'learning'"),
        (["momentum"], "names no options"),
        (["momentum=0.8,0.9"], "changes nothing where its optimizer is adamw"),
        (["balance", "loss=dice,lovasz"], "changes nothing where its loss is dice, lovasz"),
        (["temperature=1,2"], "no teacher takes part"),
        (["precision=fp32,bf16"], "of no use"),
        (["loss=ce,crossentropy"], "loss cannot be 'crossentropy'"),
        (["scale=[1,0.5],[0.5,1]"], "two rising positive numbers"),
        (["=1,2"], "no field ''"),
    ],
)
def test_mistakes_are_told(texts: list[str], message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        recipe_choices(texts, BASE)
