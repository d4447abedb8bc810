"""What the modules compute, against formulas written out here."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hwnas.ops.nn import modules


def test_pyramid_pool_is_adaptive_pooling_where_the_bins_divide_the_map() -> None:
    torch.manual_seed(0)
    module = modules.PyramidPool(8, 6, (1, 2, 3, 6)).eval()
    x = torch.randn(2, 8, 12, 18)
    maps = [x]
    for cells, branch in zip(module.bins, module.branches, strict=True):
        pooled = branch(F.adaptive_avg_pool2d(x, cells))
        maps.append(F.interpolate(pooled, size=(12, 18), mode="bilinear", align_corners=False))
    torch.testing.assert_close(module(x), module.project(torch.cat(maps, dim=1)))


@pytest.mark.parametrize("size", [(12, 15), (11, 15), (23, 30), (6, 7), (7, 6), (3, 9)])
def test_pyramid_pool_sees_every_pixel_at_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    module = modules.PyramidPool(4, 4, (6,)).eval()
    module.branches[0].act = nn.Identity()
    module.project.act = nn.Identity()
    x = torch.randn(1, 4, *size, requires_grad=True)
    pooled_only = module.project.conv.weight.detach().clone()
    pooled_only[:, :4] = 0  # cut the direct path, so that only the pooled one carries gradients
    module.project.conv.weight.data.copy_(pooled_only)
    module(x).square().sum().backward()
    assert x.grad is not None and (x.grad != 0).all()


def test_lraspp_is_value_times_gate() -> None:
    module = modules.LRASPP(6, 4).eval()
    x = torch.randn(2, 6, 5, 7)
    value = F.relu(module.value.bn(F.conv2d(x, module.value.conv.weight)))
    gate = torch.sigmoid(F.conv2d(F.adaptive_avg_pool2d(x, 1), module.gate.weight))
    torch.testing.assert_close(module(x), value * gate)


def test_mbconv_adds_its_input_only_where_the_shape_stays() -> None:
    x = torch.randn(1, 8, 9, 9)
    for channels, stride, residual in ((8, 1, True), (8, 2, False), (12, 1, False)):
        module = modules.MBConv(8, channels, 3, 4, stride).eval()
        plain = module.project(module.dw(module.expand(x)))
        torch.testing.assert_close(module(x), plain + x if residual else plain)


def test_basic_block_projects_only_where_the_shape_changes() -> None:
    assert isinstance(modules.BasicBlock(8, 8).shortcut, nn.Identity)
    assert not isinstance(modules.BasicBlock(8, 8, stride=2).shortcut, nn.Identity)
    assert not isinstance(modules.BasicBlock(8, 9).shortcut, nn.Identity)


def test_sep_conv_is_darts_sequence() -> None:
    """github.com/quark0/darts, operations.py: SepConv with affine BatchNorm."""
    c_in, c_out, kernel, stride, padding = 4, 6, 5, 2, 2
    darts = nn.Sequential(
        nn.ReLU(inplace=False),
        nn.Conv2d(c_in, c_in, kernel, stride=stride, padding=padding, groups=c_in, bias=False),
        nn.Conv2d(c_in, c_in, 1, bias=False),
        nn.BatchNorm2d(c_in),
        nn.ReLU(inplace=False),
        nn.Conv2d(c_in, c_in, kernel, stride=1, padding=padding, groups=c_in, bias=False),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out),
    )
    ours = modules.SepConv(c_in, c_out, kernel, stride)
    ours.load_state_dict(dict(zip(ours.state_dict(), darts.state_dict().values(), strict=True)))
    x = torch.randn(2, c_in, 9, 11)
    torch.testing.assert_close(ours(x), darts(x))


def test_average_pooling_does_not_count_padding() -> None:
    assert torch.equal(modules.AvgPool(3)(torch.ones(1, 2, 5, 5)), torch.ones(1, 2, 5, 5))


def test_none_gives_zeros_even_for_infinite_inputs() -> None:
    assert torch.equal(modules.Zero(2)(torch.full((1, 2, 5, 7), torch.inf)), torch.zeros(1, 2, 3, 4))


def test_resize_does_not_align_corners() -> None:
    x = torch.tensor([[[[0.0, 1.0]]]])
    expected = torch.tensor([[[[0.0, 0.25, 0.75, 1.0]]]])
    torch.testing.assert_close(modules.Resize(1, 4)(x), expected)
    torch.testing.assert_close(modules.Resize(1, 4, "nearest")(x), torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]]))


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("stride", [1, 2])
def test_zoomed_ops_convolve_at_half_the_resolution_and_rectify_last(mode: str, stride: int) -> None:
    corners = False if mode == "bilinear" else None
    x = torch.randn(2, 4, 8, 12)
    half = F.interpolate(x, size=(4, 6), mode=mode, align_corners=corners)
    single = modules.ZoomedConv(4, 6, stride, mode).eval()
    double = modules.ZoomedDoubleConv(4, 6, stride, mode).eval()
    first = F.relu(double.first.bn(F.conv2d(half, double.first.conv.weight, padding=1)))
    for module, inside in (
        (single, single.first.bn(F.conv2d(half, single.first.conv.weight, padding=1))),
        (double, double.second.bn(F.conv2d(first, double.second.conv.weight, padding=1))),
    ):
        back = inside if stride == 2 else F.interpolate(inside, size=(8, 12), mode=mode, align_corners=corners)
        torch.testing.assert_close(module(x), F.relu(back))


@pytest.mark.parametrize("size", [(8, 12), (7, 12), (9, 5)])
def test_factorized_reduce_takes_every_other_pixel_and_those_between(size: tuple[int, int]) -> None:
    module = modules.FactorizedReduce(4, 5).eval()
    x = torch.randn(1, 4, *size)
    out = torch.zeros(1, 5, (size[0] + 1) // 2, (size[1] + 1) // 2)
    for row in range(out.shape[2]):
        for column in range(out.shape[3]):
            out[0, :3, row, column] = module.even.weight[:, :, 0, 0] @ x[0, :, 2 * row, 2 * column]
            if 2 * row + 1 < size[0] and 2 * column + 1 < size[1]:
                out[0, 3:, row, column] = module.odd.weight[:, :, 0, 0] @ x[0, :, 2 * row + 1, 2 * column + 1]
    torch.testing.assert_close(module(x), F.relu(module.bn(out)))


def test_double_conv_and_its_head_are_convolutions_in_a_row() -> None:
    x = torch.randn(1, 4, 7, 9)
    double = modules.DoubleConv(4, 6, stride=2).eval()
    first = F.relu(double.first.bn(F.conv2d(x, double.first.conv.weight, stride=2, padding=1)))
    torch.testing.assert_close(
        double(x), F.relu(double.second.bn(F.conv2d(first, double.second.conv.weight, padding=1)))
    )
    head = modules.ConvSegHead(4, 6, 3).eval()
    features = F.relu(head.first.bn(F.conv2d(x, head.first.conv.weight, padding=1)))
    torch.testing.assert_close(head(x), F.conv2d(features, head.conv.weight, head.conv.bias))
