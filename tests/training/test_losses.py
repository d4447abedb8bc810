"""Losses against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hwnas.training.losses import class_weights, cross_entropy, make_loss, ohem
from hwnas.training.recipe import Recipe


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    masks = torch.randint(0, 3, (2, 8, 8), generator=generator)
    masks[0, :4] = 255
    return logits, masks


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1.0, 2.0])])
def test_cross_entropy_is_torchs_over_counted_pixels(batch, weight):
    logits, masks = batch
    expected = F.cross_entropy(logits, masks, weight=weight, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, masks, weight=weight), expected)


@pytest.mark.parametrize("function", [cross_entropy, ohem])
def test_all_pixels_ignored_is_zero_with_a_gradient(function):
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = function(logits, torch.full((1, 4, 4), 255))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(logits.grad).all()


def test_ohem_takes_hard_pixels_only():
    # two pixels of probability 0.99 for their class, two of 0.5
    sure, unsure = math.log(99.0), 0.0
    logits = torch.tensor([[[[sure, sure, unsure, unsure]], [[0.0, 0.0, 0.0, 0.0]]]])
    masks = torch.zeros(1, 1, 4, dtype=torch.long)
    assert ohem(logits, masks).item() == pytest.approx(math.log(2.0))


def test_weights_and_smoothing_do_not_make_a_pixel_easy():
    """Weighted, the loss of the unsure pixels is under the threshold; they are hard all the same."""
    logits = torch.tensor([[[[math.log(99.0), math.log(99.0), 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.0]]]])
    masks = torch.zeros(1, 1, 4, dtype=torch.long)
    weight = torch.tensor([0.1, 1.9])
    assert ohem(logits, masks, weight=weight).item() == pytest.approx(math.log(2.0))
    smoothed = ohem(logits, masks, label_smoothing=0.2)
    assert smoothed.item() == pytest.approx(math.log(2.0))  # both classes are as likely: smoothing changes nothing


def test_hard_pixels_are_weighted_as_all_are():
    logits = torch.zeros(1, 2, 1, 4)
    masks = torch.tensor([[[0, 1, 1, 255]]])
    weight = torch.tensor([0.5, 2.0])
    torch.testing.assert_close(ohem(logits, masks, weight=weight), cross_entropy(logits, masks, weight=weight))


def test_ohem_takes_the_hardest_where_all_are_easy():
    logits = torch.tensor([[[[9.0, 8.0, 7.0, 6.0]], [[0.0, 0.0, 0.0, 0.0]]]])
    masks = torch.zeros(1, 1, 4, dtype=torch.long)
    assert ohem(logits, masks, kept=0.25).item() == pytest.approx(math.log1p(math.exp(-6.0)), rel=1e-4)


def test_median_frequency_counts_images_that_hold_the_class():
    masks = np.zeros((2, 2, 10), np.uint8)
    masks[0, 0, :5] = 1  # class 1: 5 of the 20 pixels of the one image it is in; class 0: 35 of 40; class 2: never
    weights = class_weights(masks, 3, "median")
    raw = np.array([1 / (35 / 40), 1 / (5 / 20)])
    np.testing.assert_allclose(weights[:2] / weights[0], raw / raw[0], rtol=1e-6)
    assert weights[2] == 1.0


def test_enet_weights():
    masks = np.zeros((1, 2, 10), np.uint8)
    masks[0, 0, :5] = 1
    masks[0, 1, :] = 255
    weights = class_weights(masks, 2, "enet")
    assert weights[0].item() == pytest.approx(weights[1].item())
    assert class_weights(masks, 2, "none") is None


def test_recipes_loss_resizes_logits_and_strides_masks():
    logits = torch.randn(1, 3, 2, 2)
    masks = torch.randint(0, 3, (1, 8, 8), dtype=torch.uint8)
    loss = make_loss(Recipe(loss_stride=2))(logits, masks)
    enlarged = F.interpolate(logits, size=(4, 4), mode="bilinear", align_corners=False)
    torch.testing.assert_close(loss, F.cross_entropy(enlarged, masks[:, 1::2, 1::2].long()))


def test_ohem_counts_by_the_recipes_threshold():
    # probabilities 0.9, 0.8, 0.6, 0.4 of the true class
    wanted = torch.tensor([0.9, 0.8, 0.6, 0.4])
    logits = torch.stack([wanted.log(), (1 - wanted).log()])[None, :, None]
    masks = torch.zeros(1, 1, 4, dtype=torch.long)
    for threshold, hard in ((0.95, 4), (0.85, 3), (0.7, 2), (0.5, 1)):
        loss = make_loss(Recipe(loss="ohem", ohem_threshold=threshold, loss_stride=1))(logits, masks)
        assert loss.item() == pytest.approx(-wanted[-hard:].log().mean().item(), rel=1e-5)
    kept = make_loss(Recipe(loss="ohem", ohem_threshold=0.1, ohem_kept=0.75, loss_stride=1))(logits, masks)
    assert kept.item() == pytest.approx(-wanted[-3:].log().mean().item(), rel=1e-5)


def test_class_balanced_cross_entropy_is_the_weighted_mean():
    logits = torch.randn(1, 2, 1, 3, generator=torch.Generator().manual_seed(0))
    masks = torch.tensor([[[0, 1, 1]]])
    weight = torch.tensor([3.0, 0.5])
    each = -logits.log_softmax(1)[0, :, 0].gather(0, masks[0]).flatten()
    wanted = (3.0 * each[0] + 0.5 * (each[1] + each[2])) / 4.0
    torch.testing.assert_close(make_loss(Recipe(loss_stride=1), weight)(logits, masks), wanted)
