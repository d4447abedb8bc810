"""The hand-designed networks: their files are what the builders give, and a few of them run as built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hwnas.compiler.cost import cost_of
from hwnas.compiler.network import compile_graph
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import ZooEntry, entry
from hwnas.zoo.designs.mobilenet import divisible, lraspp_mobilenet_v3
from hwnas.zoo.designs.write import designs, write_designs

ALL = {network.genotype.name: network for network in designs()}


@pytest.mark.parametrize("name", ALL)
def test_the_file_is_what_the_builder_gives(name: str) -> None:
    assert entry(name) == ALL[name], "write the files again: python -m hwnas.zoo.designs.write"


def test_writing_writes_every_network(tmp_path: Path) -> None:
    write_designs(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(ALL)


def test_lraspp_has_torchvisions_figures() -> None:
    # LRASPP_MobileNet_V3_Large_Weights: num_params 3221538, 2.086 billion multiplications at 520x520, 21 classes
    network = lraspp_mobilenet_v3()
    cost = cost_of(expand(network.genotype, (3, *network.size_hw), network.classes))
    assert (cost.params, round(cost.macs / 1e9, 3)) == (3_221_538, 2.086)


def test_rounding_to_multiples_never_loses_more_than_a_tenth() -> None:
    assert [divisible(channels) for channels in (18, 24, 30, 120, 168)] == [24, 24, 32, 120, 168]


@pytest.mark.parametrize("size", [(360, 480), (720, 960)])
@pytest.mark.parametrize("network", ALL.values(), ids=ALL)
def test_every_network_fits_camvid(network: ZooEntry, size: tuple[int, int]) -> None:
    graph = expand(network.genotype, (3, *size), 11)
    assert graph.shape(graph.output)[0] == 11


@pytest.mark.parametrize("name", ["enet", "espnetv2-x0.5", "pidnet-s", "regseg"])
def test_shapes_parameters_and_training_heads_are_torchs(name: str) -> None:
    genotype = replace(ALL[name].genotype, params={**ALL[name].genotype.params, "auxiliary": True})
    graph = expand(genotype, (3, 97, 130), 5)
    network = compile_graph(graph, seed=0)
    assert sum(weights.numel() for weights in network.parameters()) == cost_of(graph, auxiliary=True).params
    with torch.no_grad():
        outputs = network.train()(torch.randn(2, 3, 97, 130))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    wanted = [graph.shape(name) for name in (graph.output, *graph.auxiliary)]
    assert [tuple(output.shape[1:]) for output in outputs] == wanted
