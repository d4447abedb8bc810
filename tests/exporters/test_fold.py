from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas.exporters.fold import fold_batchnorm, fold_network
from hwnas.exporters.untrained import randomise
from hwnas.ops.spec import OPS

SHAPE = (16, 23, 30)


def built(op: str, arity: int, **params):
    spec = OPS.get(op)
    module = spec.module([SHAPE] * arity, spec.complete(params)).build()
    randomise(module, 0)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@pytest.mark.parametrize(
    ("op", "params"),
    [
        ("conv_3x3", {"channels": 24, "stride": 2}),
        ("ds_conv_3x3", {"channels": 24}),
        ("sep_conv_5x5", {"channels": 16}),
        ("dil_conv_3x3", {"channels": 16}),
        ("mbconv_e4_k3", {"channels": 16}),
        ("mbconv_e1_k5", {"channels": 24, "stride": 2}),
        ("basic_block", {"channels": 24, "stride": 2}),
        ("lraspp", {"channels": 8}),
        ("pyramid_pool", {"channels": 8}),
    ],
)
def test_no_batchnorm_is_left_and_the_output_is_the_same(op: str, params: dict) -> None:
    module = built(op, 1, **params)
    x = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = module(x.clone())
        folded = fold_batchnorm(module)
        assert norms(folded) == 0
        torch.testing.assert_close(folded(x.clone()), before, rtol=1e-4, atol=1e-5)


class Shared(nn.Module):
    """The convolution's output is read twice, so the BatchNorm must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return self.bn(y) + y


class Twice(nn.Module):
    """The convolution runs twice, once without BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.bn(self.conv(self.conv(x)))


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.bn(self.conv(x)) if x.sum() > -1e9 else x


@pytest.mark.parametrize("make", [Shared, Twice, Untraceable])
def test_what_cannot_be_folded_is_left_alone(make: type[nn.Module]) -> None:
    module = make()
    randomise(module, 0)
    module.eval()
    x = torch.ones(1, 3, 8, 8)
    with torch.no_grad():
        before = module(x)
        folded = fold_batchnorm(module)
        assert norms(folded) == 1
        torch.testing.assert_close(folded(x), before)


def test_a_network_is_folded_in_a_copy(network) -> None:
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = fold_network(network)
    assert norms(folded) == 0 < norms(network)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    x = torch.randn(1, *network.graph.shape("image"), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(folded(x), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
