"""Recalibrated statistics are the average over the batches."""

from __future__ import annotations

import torch
from torch import nn

from hwnas.training.batchnorm import recalibrate


def test_running_mean_is_the_mean_of_batches():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    network[0].running_mean.fill_(99.0)
    batches = [torch.full((2, 3, 4, 4), value) + torch.randn(2, 3, 4, 4) for value in (1.0, 3.0)]
    recalibrate(network, batches)
    expected = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(network[0].running_mean, expected)
    assert not network.training
    assert not network[0].training
    assert network[0].momentum == 0.1


def test_no_batches_change_nothing():
    network = nn.Sequential(nn.BatchNorm2d(3))
    network[0].running_mean.fill_(99.0)
    recalibrate(network, [])
    assert (network[0].running_mean == 99.0).all()
