"""Cells placed into op graphs: strides next to the input, parameters completed, merges brought to one size."""

from __future__ import annotations

import pytest

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder
from hwnas.skeletons.base import expand
from hwnas.skeletons.placing import place_cell

CELL = Cell.of(
    ["x"],
    [
        Node("a", "conv_3x3", ("x",)),
        Node("b", "conv_3x3", ("a",), {"channels": 5}),
        Node("c", "conv_1x1", ("b",)),
    ],
    "c",
)


def test_ops_next_to_the_input_stride_and_given_parameters_win() -> None:
    builder = GraphBuilder((3, 32, 48))
    output = place_cell(builder, CELL, "stage1", {"x": builder.input}, stride=2, channels=8, dilation=1)
    assert output == "stage1/c"
    assert [builder.shape(f"stage1/{name}") for name in "abc"] == [(8, 16, 24), (5, 16, 24), (8, 16, 24)]


def test_a_merge_resizes_the_smaller_inputs_to_the_largest() -> None:
    cell = Cell.of(["low", "high"], [Node("sum", "add", ("low", "high"))], "sum")
    builder = GraphBuilder((3, 33, 47))
    high = builder.add("high", "conv_3x3", ["image"], {"channels": 4, "stride": 2})
    low = builder.add("low", "conv_3x3", [high], {"channels": 4, "stride": 2})
    output = place_cell(builder, cell, "decoder", {"low": low, "high": high})
    assert builder.shape(output) == (4, 17, 24)
    assert builder.shape("decoder/sum/resize0") == (4, 17, 24)


def realtime_like(**params: object) -> Genotype:
    chain = Cell.of(["x"], [Node("block1", "conv_3x3", ("x",))], "block1")
    decoder = Cell.of(["stage2"], [Node("context", "conv_1x1", ("stage2",))], "context")
    full = {"stem_width": 4, "widths": (4, 8), "head_width": 4, "dilated_stages": 0} | params
    return Genotype("g", "encoder_decoder", {"stage1": chain, "stage2": chain, "decoder": decoder}, full)


@pytest.mark.parametrize(("dilated", "stride"), [(0, 8), (1, 4)])
def test_dilated_stages_keep_their_resolution(dilated: int, stride: int) -> None:
    graph = expand(realtime_like(dilated_stages=dilated), (3, 64, 96), 3)
    assert graph.shape("stage2/block1") == (8, 64 // stride, 96 // stride)
    assert graph.node("stage2/block1").params["dilation"] == 1 + dilated


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"widths": (4,)}, "not a stage"),
        ({"widths": (4, 8, 16)}, "needs a cell 'stage3'"),
        ({"widths": "wide"}, "list of positive integers"),
        ({"stem_width": 0}, "stem_width must be an integer"),
        ({"stem_width": True}, "stem_width must be an integer"),
        ({"dilated_stages": 2}, "cannot be dilated"),
        ({"depth": 3}, "no parameter 'depth'"),
    ],
)
def test_error_on_parameters_that_do_not_fit(params: dict, message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        expand(realtime_like(**params), (3, 64, 96), 3)


def test_error_on_one_class() -> None:
    with pytest.raises(GenotypeError, match="1 classes"):
        expand(realtime_like(), (3, 64, 96), 1)
