"""Lovász-softmax against the definition of a Lovász extension, Dice against sums by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.training.losses import make_loss
from hwnas.training.overlap import dice, jaccard_steps, lovasz
from hwnas.training.recipe import Recipe


def jaccard_loss(wrong: np.ndarray, truth: np.ndarray) -> float:
    """1 - IoU of a class where the pixels of the set ``wrong`` are mispredicted; 0 for none of none."""
    found = truth ^ wrong
    union = (truth | found).sum()
    return float(1 - (truth & found).sum() / union) if union else 0.0


def lovasz_extension(errors: np.ndarray, truth: np.ndarray) -> float:
    """∫ of jaccard_loss({pixels with an error ≥ θ}) over θ from 0 to 1: the extension as Choquet's integral."""
    steps = np.concatenate([[0.0], np.unique(errors)])
    return sum((high - low) * jaccard_loss(errors >= high, truth) for low, high in pairwise(steps))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_lovasz_is_the_extension_of_the_jaccard_loss(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 3, 4, generator=generator, dtype=torch.float64) * 2
    targets = torch.randint(0, 3, (2, 3, 4), generator=generator)
    targets[torch.rand(2, 3, 4, generator=generator) < 0.2] = 255
    counted = (targets != 255).numpy().ravel()
    probabilities = logits.softmax(1).numpy().transpose(1, 0, 2, 3).reshape(3, -1)[:, counted]
    labels = targets.numpy().ravel()[counted]
    wanted = [
        lovasz_extension(np.abs((labels == label) - probabilities[label]), labels == label)
        for label in range(3)
        if (labels == label).any()
    ]
    assert lovasz(logits, targets).item() == pytest.approx(np.mean(wanted), abs=1e-9)


def test_lovasz_of_certain_predictions_is_one_minus_iou() -> None:
    targets = torch.tensor([[[0, 0, 0, 1, 1]]])
    predicted = torch.tensor([[[0, 0, 1, 1, 0]]])
    logits = 1e4 * torch.nn.functional.one_hot(predicted, 2).movedim(3, 1).double()
    assert lovasz(logits, targets).item() == pytest.approx(((1 - 2 / 4) + (1 - 1 / 3)) / 2)


def test_steps_sum_to_the_loss_of_all_wrong() -> None:
    truth = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    assert jaccard_steps(truth).tolist()[0] == pytest.approx([1 / 2, 1 / 2 / 3, 1 / 3, 0.0])


def test_dice_by_hand() -> None:
    probabilities = torch.tensor([[[[0.8, 0.3]], [[0.2, 0.7]]]])
    targets = torch.tensor([[[0, 1]]])
    first = 1 - (2 * 0.8 + 1) / (0.8 + 0.3 + 1 + 1)
    second = 1 - (2 * 0.7 + 1) / (0.2 + 0.7 + 1 + 1)
    assert dice(probabilities.log(), targets).item() == pytest.approx((first + second) / 2)
    assert dice(torch.tensor([[[[99.0]], [[0.0]]]]), torch.tensor([[[0]]])).item() == pytest.approx(0, abs=1e-6)


def test_classes_that_do_not_occur_do_not_count() -> None:
    logits = torch.randn(1, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    more = torch.cat([logits, torch.full((1, 1, 2, 2), -1e9)], 1)
    targets = torch.zeros(1, 2, 2, dtype=torch.long)
    for loss in (lovasz, dice):
        assert loss(logits, targets).item() == pytest.approx(loss(more, targets).item())


@pytest.mark.parametrize("loss", [lovasz, dice])
def test_all_pixels_ignored_is_zero_with_a_gradient(loss) -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = loss(logits, torch.full((1, 4, 4), 255))
    value.backward()
    assert value.item() == 0.0
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", [lovasz, dice])
def test_descending_the_gradient_lowers_it(loss) -> None:
    logits = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    targets = torch.randint(0, 3, (1, 8, 8), generator=torch.Generator().manual_seed(2))
    before = loss(logits, targets)
    before.backward()
    assert loss(logits - 5.0 * logits.grad, targets) < before


def test_a_sum_of_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, masks = torch.randn(1, 3, 4, 4, generator=generator), torch.randint(0, 3, (1, 8, 8), generator=generator)
    parts = [make_loss(Recipe(loss=name))(logits, masks) for name in ("ce", "lovasz", "dice")]
    torch.testing.assert_close(make_loss(Recipe(loss="ce+lovasz+dice"))(logits, masks), sum(parts))
