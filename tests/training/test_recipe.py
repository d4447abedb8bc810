"""Recipes refuse what makes no sense, by name."""

from __future__ import annotations

import json

import pytest

from hwnas.errors import HwnasError
from hwnas.training.recipe import Recipe


def test_json_roundtrip():
    recipe = Recipe(lr=0.1, scale=(0.5, 2.0), loss="ohem")
    assert Recipe().with_values(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", "lion"),
        ("loss", "mse"),
        ("loss", "ce+mse"),
        ("loss", "ce+ce"),
        ("loss", 3),
        ("schedule", "step"),
        ("drop_path", 1.0),
        ("temperature", 0),
        ("distillation", -1),
        ("lr", 0),
        ("lr", float("nan")),
        ("lr", "fast"),
        ("batch", 1),
        ("batch", 8.5),
        ("ema", 1.5),
        ("crop", 0),
        ("scale", (2.0, 1.0)),
        ("scale", 1.0),
        ("precision", "int8"),
    ],
)
def test_error_names_the_field(field, value):
    with pytest.raises(HwnasError, match=field):
        Recipe().with_values({field: value})


def test_error_on_unknown_field():
    with pytest.raises(HwnasError, match="learning_rate"):
        Recipe().with_values({"learning_rate": 0.1})
