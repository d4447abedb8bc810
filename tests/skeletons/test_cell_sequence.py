"""Sequences of searched cells under a multi-scale cell or a head: ``cas`` and ``gas``."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.skeletons.base import expand
from hwnas.skeletons.heads import add_head
from hwnas.skeletons.multi_scale import DEFAULT, multi_scale_cell, parse_blocks
from hwnas.skeletons.states import Block, Edge, cell_of_blocks
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import size

CELL = cell_of_blocks([Block(Edge("sep_conv_3x3", 0), Edge("max_pool_3x3", 1))], [2])


def sequence(**params: object) -> Genotype:
    full = {"sequence": ("a", "b", "a"), "reductions": (1,), "channels": 8, "head": "seg_head", **params}
    return Genotype("g", "cell-sequence", {"a": CELL, "b": CELL}, full)


def test_layers_have_the_cells_of_the_sequence_and_halve_where_told() -> None:
    graph = expand(sequence(), (3, 96, 130), 4)
    assert [graph.shape(f"cell{layer}/state2") for layer in range(3)] == [(8, 12, 17), (16, 6, 9), (16, 6, 9)]
    assert graph.shape(graph.output) == (4, 96, 130)


def test_a_multi_scale_cell_takes_the_place_of_the_head() -> None:
    genotype = sequence(head_width=16)
    cells = {**genotype.cells, "multi_scale": multi_scale_cell(parse_blocks("1x1@f+skip@f;p2x2@0+r2x2@f"))}
    graph = expand(Genotype("g", genotype.skeleton, cells, genotype.params), (3, 96, 130), 4)
    assert graph.shape("head/concat") == (32, 6, 9)
    assert graph.node("classifier").inputs == ("head/project",)
    assert graph.node("head/block0_right").op == "skip_connect"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sequence": ("a", "c")}, "layer cell 'c' is not a cell with two inputs"),
        ({"sequence": ()}, "sequence must name the cell of at least one layer|not a cell with two inputs"),
        ({"reductions": (3,)}, "reductions must be layers from 0 to 2, not 3"),
        ({"reductions": ("a",)}, "reductions must be layers"),
        ({"channels": 0}, "channels must be a whole number of at least 1"),
        ({"depth": 3}, "no parameter 'depth'"),
    ],
)
def test_error_on_parameters_that_do_not_fit(params: dict, message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        expand(sequence(**params), (3, 96, 96), 4)


def test_error_on_a_multi_scale_cell_of_two_inputs() -> None:
    genotype = sequence()
    cells: dict[str, Cell] = {**genotype.cells, "multi_scale": CELL}
    with pytest.raises(GenotypeError, match="'multi_scale' must have one input"):
        expand(Genotype("g", genotype.skeleton, cells, genotype.params), (3, 96, 96), 4)


def on_one_map(head: str) -> OpGraph:
    builder = GraphBuilder((3, 48, 48))
    source = builder.add("down", "conv_3x3", [builder.input], {"channels": 8, "stride": 2})
    return builder.finish(add_head(builder, head, {2: source}, 5))


def test_the_head_joins_any_backbone() -> None:
    assert on_one_map(f"multi-scale-cell:{DEFAULT},width=8").order == on_one_map("multi-scale-cell:,width=8").order
    assert on_one_map("multi-scale-cell").shape("head/project") == (128, 24, 24)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("multi-scale-cell:1x1@f", "block 0 of the multi-scale cell is '1x1@f'\n  a block is two branches"),
        ("multi-scale-cell:1x1@f+1x1@0", "takes 0, which is not before it"),
        ("multi-scale-cell:skip@0+1x1@f", "takes 0, which is not before it"),
        ("multi-scale-cell:1x1@f+r30x1@f", "too small for the rates 30x1"),
        ("multi-scale-cell:1x1@f+p30x1@f", "too small for a grid of 30x1"),
        ("multi-scale-cell:1x1@f+1x1@f,depth=2", "does not understand 'depth=2'"),
    ],
)
def test_error_on_a_multi_scale_cell_that_cannot_be(head: str, message: str) -> None:
    with pytest.raises(HwnasError) as caught:
        on_one_map(head)
    assert message in str(caught.value)


def test_sizes_in_closed_form() -> None:
    cell = math.factorial(5) ** 2 * 7**8
    context = math.prod((9 * (number + 1)) ** 2 for number in range(3))
    assert size(SPACES.get("cas")) == cell**2 * context * 5 * 5 * 4
    assert size(SPACES.get("gas")) == (math.factorial(4) ** 2 * 8**6) ** 8


def test_links_relate_neighbouring_layers() -> None:
    space = SPACES.get("gas")
    names = [choice.name for choice in space.choices]
    for first, second in space.links:  # type: ignore[attr-defined]
        layer = int(first.split(".")[0].removeprefix("cell"))
        assert second == first.replace(f"cell{layer}.", f"cell{layer + 1}.")
        assert first in names and second in names
    assert len(space.links) == 7 * 12  # type: ignore[attr-defined]


def test_every_layer_of_gas_has_its_own_cell() -> None:
    genotype = SPACES.get("gas").decode(SPACES.get("gas").sample(np.random.default_rng(0))).genotype
    assert len(set(genotype.cells.values())) == 8
