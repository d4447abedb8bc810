"""The dense prediction cell: its text, its space, its notation, and maps that are too small for it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hwnas.compiler.cost import cost_of
from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ops.nn.atrous import AtrousConv, AtrousSepConv, GridPool
from hwnas.skeletons.base import expand
from hwnas.skeletons.dpc import PUBLISHED, dpc_cell, parse_branches
from hwnas.skeletons.heads import add_head
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import size
from hwnas.zoo.catalog import load
from hwnas.zoo.notation.dpc import read_branches, read_dpc, read_dpc_on_xception, write_branches, write_dpc

AUTHORS = """[{"kernel": 3, "rate": [1, 6], "op": "conv", "input": -1},
              {"kernel": 3, "rate": [18, 15], "op": "conv", "input": 0},
              {"kernel": 3, "rate": [6, 3], "op": "conv", "input": 1},
              {"kernel": 3, "rate": [1, 1], "op": "conv", "input": 0},
              {"kernel": 3, "rate": [6, 21], "op": "conv", "input": 0}]"""


def on_one_map(head: str, size_hw: tuple[int, int] = (352, 352), stride: int = 16) -> OpGraph:
    """The head on features of 8 channels at one stride."""
    builder = GraphBuilder((3, *size_hw))
    source = builder.input
    for level in range(stride.bit_length() - 1):
        source = builder.add(f"down{level}", "conv_1x1", [source], {"channels": 8, "stride": 2})
    return builder.finish(add_head(builder, head, {stride: source}, 5))


def test_the_space_has_the_size_that_the_paper_says() -> None:
    assert size(SPACES.get("dpc")) == 5 * 4 * 3 * 2 * 81**5  # 418e9


def test_a_cell_costs_what_its_branches_cost() -> None:
    def conv(inputs: int, outputs: int) -> int:
        return inputs * outputs + 2 * outputs

    graph = on_one_map("dpc:1x1@f;r3x6@0;p2x4@1;1x1@2,width=16")
    separable = 16 * 9 + 2 * 16 + conv(16, 16)
    cell = conv(8, 16) + separable + conv(16, 16) + conv(16, 16) + conv(4 * 16, 16)
    stem = conv(3, 8) + 3 * conv(8, 8)
    assert cost_of(graph).params == stem + cell + 16 * 5 + 5
    assert graph.node("head/concat").inputs == tuple(f"head/branch{number}" for number in range(4))


def test_rates_double_at_stride_8() -> None:
    for stride, factor in ((16, 1), (8, 2)):
        graph = on_one_map("dpc:r6x21@f", (352, 704), stride)
        assert graph.node("head/branch0").params["rates"] == (6 * factor, 21 * factor)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("dpc:r1x21@f", "too small for the rates 1x21\n  a dilated convolution sees but padding there: use larger"),
        ("dpc:r21x1@f", "too small for the rates 21x1"),
        ("dpc:p8x8@f", "its map of 8x5x5 is too small for a grid of 8x8 cells"),
        ("dpc:r1x6", "branch 0 of the dense prediction cell is 'r1x6'"),
        ("dpc:1x1@f;1x1@1", "branch 1 of the dense prediction cell takes 1, which is not before it"),
        ("dpc:r0x1@f", "has a size of 0"),
        ("dpc:3x3@f", "is '3x3@f'"),
        ("dpc:1x1@f,depth=2", "does not understand 'depth=2'"),
    ],
)
def test_error_on_a_cell_that_cannot_be(head: str, message: str) -> None:
    with pytest.raises(HwnasError) as caught:
        on_one_map(head, (80, 80))
    assert message in str(caught.value)


def test_notation_of_the_authors() -> None:
    assert read_branches(AUTHORS) == parse_branches(PUBLISHED) == read_branches(PUBLISHED)
    assert fingerprint(read_dpc(AUTHORS, "x")) == fingerprint(load("dpc-mobilenet-v2"))
    assert fingerprint(read_dpc_on_xception(PUBLISHED, "x", 71)) != fingerprint(load("dpc-xception-65"))
    pooled = (
        '[{"op": "pyramid_pooling", "grid_size": [2, 4], "input": -1}, {"op": "conv", "kernel": [1, 1], "input": 0}]'
    )
    assert read_branches(pooled) == parse_branches("p2x4@f;1x1@0")


def test_what_is_written_is_read_back() -> None:
    space, rng = SPACES.get("dpc"), np.random.default_rng(0)
    for _ in range(50):
        genotype = space.decode(space.sample(rng)).genotype
        assert fingerprint(read_dpc(write_dpc(genotype), "again")) == fingerprint(genotype)
    branches = parse_branches("p2x4@f;1x1@0;r1x21@1")
    assert read_branches(write_branches(branches)) == branches
    assert read_branches(write_dpc(load("dpc-xception-71"))) == parse_branches(PUBLISHED)
    with pytest.raises(GenotypeError, match="has no dense prediction cell"):
        write_dpc(load("auto-deeplab-s"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"op": "pool"}, "it must have an op: conv or pyramid_pooling"),
        ({"rates": [1, 1]}, "has no 'rates'"),
        ({"input": 1.0}, "input must be -1"),
        ({"kernel": 5}, "kernel must be 1 or 3, not 5"),
        ({"rate": [0, 1]}, "rate must be two whole numbers of at least 1"),
        ({"input": 3}, "takes 3, which is not before it"),
    ],
)
def test_error_on_a_faulty_branch(change: dict, message: str) -> None:
    branch = {"op": "conv", "kernel": 3, "rate": [1, 6], "input": -1}
    with pytest.raises(GenotypeError) as caught:
        read_branches(json.dumps([{**branch, **change}]))
    assert message in str(caught.value)


def test_the_cell_has_one_input_and_one_output() -> None:
    cell = dpc_cell(parse_branches(PUBLISHED))
    assert cell.inputs == ("features",) and cell.output == "project"
    assert expand(load("dpc-mobilenet-v2"), (3, 352, 480), 7).shape("upsample") == (7, 352, 480)


def test_rates_are_for_the_height_and_for_the_width() -> None:
    module = AtrousSepConv(2, 3, (2, 1)).eval()
    x = torch.randn(1, 2, 7, 6)
    dw = F.conv2d(x, module.dw.weight, padding=(2, 1), dilation=(2, 1), groups=2)
    expected = F.relu(module.pw_bn(F.conv2d(F.relu(module.dw_bn(dw)), module.pw.weight)))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(("side", "cells", "kernel"), [(65, 1, 65), (65, 2, 33), (65, 4, 17), (65, 8, 9), (23, 4, 6)])
def test_the_pooling_windows_are_the_authors(side: int, cells: int, kernel: int) -> None:
    """At 1025 pixels and output stride 16 their code makes windows of 65, 33, 17 and 9."""
    module = GridPool(1, 2, (cells, cells)).eval()
    x = torch.randn(1, 1, side, side)
    pooled = F.relu(module.bn(F.conv2d(F.avg_pool2d(x, kernel, 1), module.conv.weight)))
    expected = F.interpolate(pooled, size=(side, side), mode="bilinear", align_corners=False)
    torch.testing.assert_close(module(x), expected)


def test_auto_deeplabs_atrous_convolution_dilates_or_halves() -> None:
    x = torch.randn(1, 3, 7, 9)
    still, strided = AtrousConv(3, 4, 3).eval(), AtrousConv(3, 4, 3, stride=2).eval()
    torch.testing.assert_close(still(x), still.bn(F.conv2d(F.relu(x), still.conv.weight, padding=2, dilation=2)))
    half = F.interpolate(F.relu(x), size=(4, 5), mode="bilinear", align_corners=False)
    torch.testing.assert_close(strided(x), strided.bn(F.conv2d(half, strided.conv.weight, padding=1)))
