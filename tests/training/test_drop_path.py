"""What drop path drops, how often, and that it leaves the graph and its evaluation alone."""

from __future__ import annotations

import pytest
import torch
from tiny_world import tiny, with_cell

from hwnas.compiler.network import compile_graph
from hwnas.errors import HwnasError
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.training.drop_path import DropPath, branches, dropped


def test_branches_are_what_one_join_of_the_cell_reads():
    # b is an identity, inner a sum and read twice
    assert branches(with_cell((3, 32, 32))) == {"cell0/inner": (0,), "cell0/output": (1,)}


def test_every_op_of_a_darts_cell_but_identities():
    import numpy as np

    space = SPACES.get("darts")
    graph = expand(space.decode(space.sample(np.random.default_rng(0))).genotype, (3, 64, 64), 3)
    found = branches(graph)
    for name, slots in found.items():
        node = graph.node(name)
        assert node.op == "add"
        skips = {slot for slot, source in enumerate(node.inputs) if graph.node(source).op == "skip_connect"}
        assert set(slots) == {0, 1} - skips
    assert {name.partition("/")[0] for name in found} <= {f"cell{layer}" for layer in range(8)}


def test_images_are_dropped_by_themselves_and_the_rest_keeps_the_mean():
    torch.manual_seed(0)
    values = dropped(torch.ones(4000, 2, 1, 1), 0.25)
    assert sorted(set(values[:, 0, 0, 0].tolist())) == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(values[:, 0], values[:, 1])
    assert (values == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert values.mean().item() == pytest.approx(1.0, abs=0.04)


def test_it_acts_in_training_alone_and_changes_no_graph():
    network = compile_graph(with_cell((3, 32, 32)), seed=0)
    twin = compile_graph(with_cell((3, 32, 32)), seed=0)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    drop_path = DropPath(network)
    assert torch.equal(network(images)[0], twin(images)[0])  # a probability of 0
    drop_path.probability = 0.9
    torch.manual_seed(1)
    assert not torch.equal(network(images)[0], twin(images)[0])
    twin.load_state_dict(network.state_dict())
    assert torch.equal(network.eval()(images), twin.eval()(images))
    assert network.graph.nodes == twin.graph.nodes


def test_error_on_a_network_without_branches():
    with pytest.raises(HwnasError, match="drop_path"):
        DropPath(compile_graph(tiny((3, 32, 32)), seed=0))
