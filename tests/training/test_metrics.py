"""mIoU against hand-made confusion matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.data.cache import Arrays
from hwnas.data.scoring import score_of
from hwnas.training.metrics import Meter, evaluate


def test_score_leaves_out_classes_absent_from_both():
    score = score_of(np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]]))
    assert score.ious[:2] == pytest.approx((3 / 6, 4 / 7))
    assert math.isnan(score.ious[2])
    assert score.miou == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert score.accuracy == pytest.approx(0.7)


def test_a_class_only_predicted_counts_as_zero():
    assert score_of(np.array([[4, 1], [0, 0]])).ious == pytest.approx((0.8, 0.0))


def test_meter_ignores_255_and_takes_arrays_and_tensors():
    meter = Meter(2)
    meter.update(np.array([[[0, 1, 1]]], np.uint8), np.array([[[0, 1, 255]]], np.uint8))
    meter.update(torch.tensor([[[1]]]), torch.tensor([[[0]]]))
    assert meter.score().ious == pytest.approx((0.5, 0.5))


class Threshold(nn.Module):
    """Class 1 where the red channel is above the mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return torch.stack([-images[:, 0], images[:, 0]], dim=1)


def test_evaluate_reads_only_the_given_indices():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[:, :2] = 255
    masks = np.zeros((3, 4, 4), np.uint8)
    masks[:, :2] = 1
    masks[2] = 1 - masks[2]
    arrays = Arrays(images, masks, ("a", "b", "c"))
    assert evaluate(Threshold(), arrays, 2, indices=[0, 1], batch=1).miou == 1.0
    assert evaluate(Threshold(), arrays, 2, indices=[2]).miou == 0.0
