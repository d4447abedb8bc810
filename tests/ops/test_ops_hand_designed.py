"""What ENet's, PIDNet's and PP-LiteSeg's ops compute, against torch's own formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwnas.errors import GenotypeError
from hwnas.ops.nn import enet, hand_designed
from hwnas.ops.spec import OPS


@pytest.mark.parametrize("size", [(8, 12), (9, 12), (7, 5)])
def test_unpooling_is_torchs_by_indices(size: tuple[int, int]) -> None:
    before = torch.randn(2, 3, *size)
    before[0, :, :4, :4] = 1.0  # equal values: the first wins
    pooled, indices = F.max_pool2d(before, 2, return_indices=True)
    x = torch.randn_like(pooled)
    torch.testing.assert_close(enet.max_unpool(x, before), F.max_unpool2d(x, indices, 2, output_size=size))


def test_every_prelu_of_enet_has_one_slope() -> None:
    asymmetric = enet.ENetBottleneck(16, asymmetric=True)
    blocks = {enet.ENetBottleneck(16): 4, asymmetric: 5, enet.ENetDownsample(16, 64): 4, enet.ENetStem(3, 16): 1}
    for block, count in blocks.items():
        slopes = [module for module in block.modules() if isinstance(module, nn.PReLU)]
        assert [slope.num_parameters for slope in slopes] == [1] * count


@pytest.mark.parametrize("size", [(8, 12), (9, 5)])
def test_enets_upsampling_restores_the_size(size: tuple[int, int]) -> None:
    before = torch.randn(1, 4, *size)
    small = torch.randn(1, 8, size[0] // 2, size[1] // 2)
    block = enet.ENetUpsample(8, 4, (size[0] % 2, size[1] % 2)).eval()
    assert block(small, before).shape == before.shape


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (1, 1, 5, 6), (1, 4, 5, 6)])
def test_a_gate_and_its_inverse_add_up_to_the_input(shape: tuple[int, ...], inverse: bool) -> None:
    x, gate = torch.randn(1, 4, 5, 6), torch.randn(*shape)
    open_, closed = hand_designed.Gate(), hand_designed.Gate(inverse=True)
    torch.testing.assert_close(open_(x, gate), x * torch.sigmoid(gate))
    torch.testing.assert_close(open_(x, gate) + closed(x, gate), x)


def test_a_gate_of_another_size_is_refused() -> None:
    with pytest.raises(GenotypeError, match="a gate must have"):
        OPS.get("gate").infer_shape([(4, 5, 6), (4, 2, 3)], {})


def test_parts_of_a_split_put_together_are_the_whole() -> None:
    x = torch.randn(1, 6, 4, 4)
    spec = OPS.get("channel_split")
    parts = [spec.module([(6, 4, 4)], spec.complete({"parts": 3, "index": i})).build()(x) for i in range(3)]
    assert torch.equal(torch.cat(parts, dim=1), x)
    with pytest.raises(GenotypeError, match="cannot be split into 4"):
        spec.infer_shape([(6, 4, 4)], spec.complete({"parts": 4}))
    with pytest.raises(GenotypeError, match="no part 2 of 2"):
        spec.infer_shape([(6, 4, 4)], spec.complete({"parts": 2, "index": 2}))


@pytest.mark.parametrize(
    ("module", "torchs"),
    [
        (hand_designed.PaddedAvgPool(5, 2), nn.AvgPool2d(5, 2, 2)),
        (hand_designed.HalvingAvgPool(), nn.AvgPool2d(2, 2, ceil_mode=True)),
        (hand_designed.GridAvgPool(4), nn.AdaptiveAvgPool2d(4)),
        (hand_designed.ChannelReduce("mean"), lambda x: x.mean(1, keepdim=True)),
        (hand_designed.ChannelReduce("max"), lambda x: x.max(1, keepdim=True).values),
        (hand_designed.ChannelReduce("sum"), lambda x: x.sum(1, keepdim=True)),
    ],
)
def test_reductions_are_torchs(module: nn.Module, torchs: nn.Module) -> None:
    x: Tensor = torch.randn(2, 3, 8, 12)
    torch.testing.assert_close(module(x), torchs(x))
