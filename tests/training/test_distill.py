"""The divergence from a teacher, by its definition, and what it does to a student."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_world import CLASSES, colored_tiles, tiny

from hwnas.compiler.network import compile_graph
from hwnas.data.preprocess import normalize
from hwnas.errors import HwnasError
from hwnas.training.distill import NetworkTeacher, divergence
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from hwnas.training.train import train_network

ARRAYS = colored_tiles()


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_divergence_by_hand(temperature: float) -> None:
    student, teacher = (torch.tensor([[[[a]], [[b]]]], dtype=torch.float64) for a, b in ((0.3, -1.0), (2.0, 0.5)))
    odds = [math.exp(1.5 / temperature), math.exp(1.3 / temperature)]
    t, s = (value / (1 + value) for value in odds)
    wanted = t * math.log(t / s) + (1 - t) * math.log((1 - t) / (1 - s))
    targets = torch.zeros(1, 1, 1, dtype=torch.long)
    assert divergence(student, teacher, targets, temperature).item() == pytest.approx(temperature**2 * wanted)
    assert divergence(teacher, teacher, targets, temperature).item() == pytest.approx(0)


def test_ignored_pixels_do_not_count() -> None:
    student, teacher = torch.randn(2, 1, 3, 1, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[[0, 255, 1, 255]]])
    kept = divergence(student[..., ::2], teacher[..., ::2], targets[..., ::2], 1.0)
    torch.testing.assert_close(divergence(student, teacher, targets, 1.0), kept)
    assert divergence(student, teacher, torch.full((1, 1, 4), 255), 1.0).item() == 0.0


def learn(recipe: Recipe, **options):
    return train_network(
        tiny, ARRAYS, np.arange(10), CLASSES, recipe=recipe, budget=Budget(steps=25), seed=1, **options
    ).network


def test_a_student_comes_near_its_teacher() -> None:
    recipe = Recipe(lr=0.02, batch=4, scale=(1.0, 1.0), crop=0.5)
    taught = learn(recipe)
    teacher = NetworkTeacher(taught, tiny, CLASSES, "taught")
    # a loss that teaches nothing beside: every pixel is easy
    silent = recipe.with_values({"loss": "ohem", "ohem_threshold": 0.0, "ohem_kept": 0.0, "distillation": 10.0})
    images = normalize(torch.from_numpy(np.ascontiguousarray(ARRAYS.images[10:])))
    wanted = taught(images).argmax(1)
    alone, student = (learn(silent, teacher=each) for each in (None, teacher))
    agree = [(network(images).argmax(1) == wanted).float().mean().item() for network in (alone, student)]
    assert agree[1] > 0.85 and agree[1] > agree[0]


def test_error_on_a_teacher_of_other_classes() -> None:
    def other(shape):
        return tiny(shape, classes=5)

    teacher = NetworkTeacher(compile_graph(other((3, 64, 64)), seed=0), other, 5, "other")
    with pytest.raises(HwnasError, match="knows 5 classes, and the data has 3"):
        learn(Recipe(batch=2), teacher=teacher)
