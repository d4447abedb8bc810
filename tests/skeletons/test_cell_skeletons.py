"""The skeletons of searched cells, apart from their published figures (tests/zoo/test_published.py)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hwnas.compiler.cost import cost_of
from hwnas.compiler.network import compile_graph
from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.simplify import simplify
from hwnas.ir.verify import verify
from hwnas.skeletons.base import expand, task_of
from hwnas.skeletons.states import Block, Edge, blocks_of_cell, cell_of_blocks, unused_states
from hwnas.zoo.catalog import load

SMALL = {
    "darts-cifar": {"channels": 4, "layers": 4},
    "darts-imagenet": {"channels": 4, "layers": 4},
    "nasnet-cifar": {"filters": 4, "repeats": 1, "stem": 8},
    "nasnet-imagenet": {"filters": 4, "repeats": 1, "stem": 8},
    "enas-micro": {"filters": 4, "layers": 4},
    "cell-segmentation": {"channels": 4, "layers": 4, "head": "lraspp:width=8"},
}


def small(skeleton: str, size: tuple[int, int], name: str = "amoebanet-a", **params: object) -> OpGraph:
    genotype = replace(load(name), skeleton=skeleton, params={**SMALL[skeleton], **params})
    return expand(genotype, (3, *size), 7)


@pytest.mark.parametrize("skeleton", SMALL)
@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_every_skeleton_takes_even_and_odd_sizes(skeleton: str, size: tuple[int, int]) -> None:
    graph = small(skeleton, size, "nasnet-a")
    verify(graph)
    verify(simplify(graph), dead_nodes=False)
    segments = skeleton == "cell-segmentation"
    assert graph.shape(graph.output) == ((7, *size) if segments else (7, 1, 1))
    assert task_of(graph) == ("segmentation" if segments else "classification")


def test_networks_compute_what_their_graphs_say_with_and_without_the_auxiliary_head() -> None:
    graph = small("darts-imagenet", (225, 257), auxiliary=True)
    network = compile_graph(graph, seed=0)
    images = torch.randn(2, 3, 225, 257)
    with torch.no_grad():
        assert [tuple(value.shape) for value in network.train()(images)] == [(2, 7, 1, 1)] * 2
        assert tuple(network.eval()(images).shape) == (2, 7, 1, 1)
    assert sum(weight.numel() for weight in network.parameters()) == cost_of(graph, auxiliary=True).params


def test_the_auxiliary_head_is_refused_where_the_map_is_too_small() -> None:
    with pytest.raises(GenotypeError, match="auxiliary head cannot be put on a map of"):
        small("darts-cifar", (16, 16), auxiliary=True)


@pytest.mark.parametrize(("stride", "deepest"), [(8, (8, 12)), (16, (4, 6)), (32, (2, 3))])
def test_the_output_stride_of_segmentation(stride: int, deepest: tuple[int, int]) -> None:
    graph = small("cell-segmentation", (64, 96), output_stride=stride, auxiliary=True)
    assert graph.shape("cell3/output")[1:] == deepest
    assert graph.shape("cell3/output")[0] == 3 * 16, "width doubles twice whatever the stride"
    assert graph.auxiliary and graph.shape(graph.auxiliary[0]) == (7, 64, 96)


@pytest.mark.parametrize("head", ["lraspp:width=8", "aspp:width=8,rates=1-2", "fpn:width=8", "seg_head"])
def test_any_head_joins(head: str) -> None:
    assert small("cell-segmentation", (65, 97), head=head).shape("upsample") == (7, 65, 97)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"channel": 4}, "no parameter 'channel'"),
        ({"channels": 0}, "channels must be a whole number of at least 1"),
        ({"layers": 2.5}, "layers must be a whole number"),
        ({"auxiliary": 1}, "auxiliary must be true or false"),
        ({"output_stride": 4}, "output_stride must be 8, 16 or 32"),
        ({"head": "nope"}, "unknown head"),
    ],
)
def test_parameters_that_do_not_fit(params: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small("cell-segmentation", (64, 64), **params)


def test_a_missing_cell_is_named() -> None:
    genotype = Genotype("net", "darts-cifar", {"normal": load("darts-v1").cells["normal"]})
    with pytest.raises(GenotypeError, match="needs a cell 'reduce' with two inputs"):
        expand(genotype, (3, 32, 32), 10)


def test_blocks_are_read_back_from_their_cell_whatever_its_names() -> None:
    blocks = (
        Block(Edge("none", 0), Edge("skip_connect", 1)),
        Block(Edge("sep_conv_3x3", 2), Edge("none", 0), "concat"),
    )
    cell = cell_of_blocks(blocks, (3, 2))
    assert blocks_of_cell(cell) == (blocks, (3, 2)) and unused_states(blocks) == (3,)
    names = {node.name: f"n{place}" for place, node in enumerate(cell.nodes)} | {"c_{k-2}": "x", "c_{k-1}": "y"}
    nodes = [Node(names[node.name], node.op, tuple(names[source] for source in node.inputs)) for node in cell.nodes]
    assert blocks_of_cell(Cell.of(["x", "y"], nodes, names["output"]))[1] == (3, 2)
    with pytest.raises(GenotypeError, match="not a concatenation"):
        blocks_of_cell(Cell.of(["x", "y"], [Node("a", "add", ("x", "y"))], "a"))
    strange = [Node("a", "conv_3x3", ("x",)), Node("out", "concat", ("a", "y"))]
    with pytest.raises(GenotypeError, match="not made of blocks"):
        blocks_of_cell(Cell.of(["x", "y"], strange, "out"))


def test_concatenating_blocks_and_unused_inputs_are_brought_to_the_cells_width() -> None:
    blocks = (
        Block(Edge("skip_connect", 1), Edge("max_pool_3x3", 1), "concat"),
        Block(Edge("avg_pool_3x3", 2), Edge("skip_connect", 2)),
    )
    cell = cell_of_blocks(blocks, (0, 2, 3))
    genotype = Genotype("net", "nasnet-cifar", {"normal": cell, "reduce": cell}, SMALL["nasnet-cifar"])
    graph = expand(genotype, (3, 33, 35), 5)
    verify(graph)
    assert graph.shape("cell0/output")[0] == 3 * 4 and graph.shape("reduction0/output") == (3 * 8, 17, 18)
