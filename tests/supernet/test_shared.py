"""A path of the supernet is the compiled network with the slices as its weights; slices are where they should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas.compiler.network import compile_graph
from hwnas.errors import HwnasError, RunError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.spaces.narrowed import NarrowedSpace
from hwnas.supernet.shared import SharedWeights

SHAPE = (3, 96, 96)


@pytest.fixture(scope="module")
def realtime():
    return SPACES.get("realtime")


@pytest.fixture(scope="module")
def shared(realtime):
    return SharedWeights.for_space(realtime, SHAPE, 5, np.random.default_rng(0), samples=20)


def joined(widths: tuple[int, int], channels: int = 6, op: str = "conv_3x3") -> OpGraph:
    """Two maps of the given widths, concatenated, then one op that reads both."""
    builder = GraphBuilder((3, 16, 16))
    a = builder.add("a", "conv_1x1", ["image"], {"channels": widths[0]})
    b = builder.add("b", "conv_1x1", ["image"], {"channels": widths[1]})
    cat = builder.add("cat", "concat", [a, b])
    return builder.finish(builder.add("mix", op, [cat], {"channels": channels}))


@pytest.mark.parametrize("seed", range(6))
def test_a_path_equals_the_compiled_network_with_its_slices(realtime, shared, seed):
    rng = np.random.default_rng(seed)
    graph = expand(realtime.decode(realtime.sample(rng)).genotype, SHAPE, 5)
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        expected = shared.materialize(graph).train()(images)
        torch.testing.assert_close(shared.run(graph, images), expected, rtol=1e-4, atol=1e-5)


def test_every_random_genotype_is_covered(realtime, shared):
    rng = np.random.default_rng(99)
    for _ in range(60):
        assert shared.covers(expand(realtime.decode(realtime.sample(rng)).genotype, SHAPE, 5))


@pytest.mark.parametrize("seed", range(3))
def test_a_narrowed_space_is_covered(realtime, seed):
    rng = np.random.default_rng(seed)
    allowed = {
        choice.name: tuple(option for option in choice.options if rng.random() < 0.5) or choice.options[:1]
        for choice in realtime.choices
    }
    narrowed = NarrowedSpace(realtime, allowed)
    shared = SharedWeights.for_space(narrowed, SHAPE, 5, rng, samples=10)
    for _ in range(40):
        assert shared.covers(expand(narrowed.decode(narrowed.sample(rng)).genotype, SHAPE, 5))


def test_leading_channels_and_centred_kernels():
    wide, narrow = joined((8, 4), 6), joined((8, 4), 3, "conv_3x3")
    shared = SharedWeights.of([wide, joined((8, 4), 6, "conv_5x5")], np.random.default_rng(0))
    kernel = shared.tensors["mix|conv|conv.weight"]
    assert kernel.shape == (6, 12, 5, 5)
    ours = shared.materialize(narrow).state_dict()["mix.conv.weight"]
    assert torch.equal(ours, kernel[:3, :, 1:4, 1:4])


def test_slots_of_a_concat_keep_their_places():
    shared = SharedWeights.of([joined((8, 2)), joined((3, 5))], np.random.default_rng(0))
    kernel = shared.tensors["mix|conv|conv.weight"]
    assert kernel.shape[1] == 8 + 5  # each slot at its own maximum, though no path needs both
    ours = shared.materialize(joined((3, 4))).state_dict()["mix.conv.weight"]
    assert torch.equal(ours, torch.cat([kernel[:, :3], kernel[:, 8:12]], dim=1))


def test_gradients_reach_only_the_slices():
    shared = SharedWeights.of([joined((8, 5))], np.random.default_rng(0))
    shared.run(joined((3, 4), 2), torch.randn(2, 3, 16, 16)).square().sum().backward()
    gradient = shared.tensors["mix|conv|conv.weight"].grad
    touched = gradient.abs().sum((2, 3)) > 0
    expected = torch.zeros(6, 13, dtype=torch.bool)
    expected[:2, :3] = expected[:2, 8:12] = True
    assert torch.equal(touched, expected)


def test_ops_of_one_family_share_and_others_do_not():
    graphs = [joined((4, 4), 6, op) for op in ("mbconv_e2_k3", "mbconv_e4_k5", "ds_conv_3x3")]
    shared = SharedWeights.of(graphs, np.random.default_rng(0))
    assert shared.tensors["mix|mbconv|dw.conv.weight"].shape == (32, 1, 5, 5)
    assert shared.tensors["mix|separable|dw.conv.weight"].shape == (8, 1, 3, 3)


def test_running_to_a_node_gives_its_value():
    graph = joined((4, 4))
    shared = SharedWeights.of([graph], np.random.default_rng(0))
    assert shared.run(graph, torch.randn(2, 3, 16, 16), output="cat").shape == (2, 8, 16, 16)


def test_error_names_the_node_that_needs_more():
    shared = SharedWeights.of([joined((4, 4))], np.random.default_rng(0))
    larger = joined((4, 6))
    assert not shared.covers(larger)
    with pytest.raises(HwnasError, match="node 'b'"):
        shared.run(larger, torch.randn(2, 3, 16, 16))


def test_state_roundtrip_and_error_on_another_spaces():
    rng = np.random.default_rng(0)
    ours, theirs = (SharedWeights.of([joined((4, 4))], rng) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    assert all(torch.equal(ours.tensors[key], theirs.tensors[key]) for key in ours.tensors)
    for other in (joined((4, 6)), joined((4, 4), 6, "mbconv_e2_k3")):
        with pytest.raises(RunError):
            ours.load_state_dict(SharedWeights.of([other], rng).state_dict())


def test_initial_weights_are_scaled_like_a_compiled_networks():
    graph = joined((64, 64), 128)
    shared = SharedWeights.of([graph], np.random.default_rng(0))
    drawn = compile_graph(graph, seed=0).state_dict()["mix.conv.weight"]
    assert shared.tensors["mix|conv|conv.weight"].std().item() == pytest.approx(drawn.std().item(), rel=0.05)
    assert (shared.tensors["mix|conv|bn.weight"] == 1).all()
    assert (shared.tensors["mix|conv|bn.bias"] == 0).all()
