from __future__ import annotations

import copy

import pytest
import torch

from hwnas.compiler.network import Network, _spent_after, compile_graph
from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ops.spec import OPS
from tests.compiler.graphs import auxiliary_graph, random_graph, small_graph


def run_by_hand(network: Network, images: torch.Tensor) -> torch.Tensor:
    graph = network.graph
    values = {graph.input: images}
    for node in graph.nodes:
        values[node.name] = network.get_submodule(node.name)(*(values[name] for name in node.inputs))
    return values[graph.output]


@pytest.mark.parametrize("graph", [small_graph(), *(random_graph(seed) for seed in range(12))])
def test_runs_the_graph(graph: OpGraph) -> None:
    network = compile_graph(graph, seed=0).eval()
    images = torch.randn(2, *graph.shape(graph.input))
    with torch.no_grad():
        output = network(images)
        assert torch.equal(output, run_by_hand(network, images))
    assert tuple(output.shape) == (2, *graph.shape(graph.output))


def test_state_is_keyed_by_node_and_parameter() -> None:
    graph = small_graph()
    keys = list(compile_graph(graph).state_dict())
    assert "stage1/block0.expand.conv.weight" in keys
    assert {key.split(".")[0] for key in keys} <= set(graph.order)


def test_values_are_dropped_after_their_last_reader() -> None:
    for graph in [small_graph(), *(random_graph(seed) for seed in range(20))]:
        order, spent = graph.order, _spent_after(graph)
        for index, names in enumerate(spent):
            for name in names:
                readers = set(graph.graph.successors(name))
                assert readers <= set(order[: index + 1])
                assert order[index] in readers | {name}
        dropped = [name for names in spent for name in names]
        assert sorted(dropped) == sorted({graph.input, *order} - {graph.output} - unread_inputs(graph))


def unread_inputs(graph: OpGraph) -> set[str]:
    return set() if graph.graph.out_degree(graph.input) else {graph.input}


def test_a_seed_decides_all_weights_and_leaves_the_global_state() -> None:
    graph = small_graph()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = compile_graph(graph, seed=3).state_dict()
    assert torch.equal(torch.rand(3), expected)
    second, other = compile_graph(graph, seed=3).state_dict(), compile_graph(graph, seed=4).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_a_nodes_seeded_weights_do_not_depend_on_the_rest_of_the_graph() -> None:
    builder = GraphBuilder((3, 20, 20))
    builder.add("extra", "conv_5x5", ["image"], {"channels": 4})
    stem = builder.add("stem/conv", "conv_3x3", ["image"], {"channels": 8, "stride": 2, "activation": "hswish"})
    alone = compile_graph(builder.finish(stem), seed=3).state_dict()
    within = compile_graph(small_graph(), seed=3).state_dict()
    assert torch.equal(alone["stem/conv.conv.weight"], within["stem/conv.conv.weight"])


def test_initial_scale_is_he_by_fan_out() -> None:
    builder = GraphBuilder((64, 8, 8))
    conv = builder.add("conv", "conv_3x3", ["image"], {"channels": 128})
    depthwise = builder.add("depthwise", "dw_conv_5x5", [conv], {})
    head = builder.add("head", "seg_head", [depthwise], {"classes": 19})
    state = compile_graph(builder.finish(head), seed=0).state_dict()
    assert state["conv.conv.weight"].std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.05)
    assert state["depthwise.conv.weight"].std().item() == pytest.approx((2 / 25) ** 0.5, rel=0.1)
    assert state["head.conv.weight"].std().item() == pytest.approx(0.01, rel=0.1)
    assert not state["head.conv.bias"].any()
    assert (state["conv.bn.weight"] == 1).all() and not state["conv.bn.bias"].any()


def test_weights_of_one_size_load_at_another() -> None:
    large, crop = compile_graph(small_graph(60, 80), seed=1), compile_graph(small_graph(33, 41), seed=2)
    crop.load_state_dict(large.state_dict())
    assert crop(torch.randn(2, 3, 33, 41)).shape == (2, 5, 33, 41)


def test_images_of_another_size_are_refused() -> None:
    network = compile_graph(small_graph())
    with pytest.raises(HwnasError, match=r"images of 3x45x61, but got a batch of shape 2x3x45x60"):
        network(torch.zeros(2, 3, 45, 60))


def test_a_failing_node_is_named_and_its_cause_kept() -> None:
    network = compile_graph(small_graph()).train()
    with pytest.raises(HwnasError, match=r"node 'context/pool' \(pyramid_pool on 1x16x12x16\) failed") as caught:
        network(torch.randn(1, 3, 45, 61))  # BatchNorm of one value in training
    assert isinstance(caught.value.__cause__, ValueError)


def test_running_out_of_memory_keeps_its_class_and_names_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    network = compile_graph(small_graph())

    def fail(*_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(network.get_submodule("stage1/block1"), "forward", fail)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        network(torch.randn(2, 3, 45, 61))
    assert "stage1/block1" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["a.b", "", "forward", "graph"])
def test_names_that_modules_cannot_have_are_refused(name: str) -> None:
    builder = GraphBuilder((3, 8, 8))
    graph = builder.finish(builder.add(name, "conv_1x1", ["image"], {"channels": 4}))
    with pytest.raises(GenotypeError, match="node name"):
        compile_graph(graph)


def test_a_module_that_cannot_be_built_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small_graph()
    spec = OPS.get("lraspp")
    broken = copy.copy(spec)
    object.__setattr__(broken, "module", lambda shapes, params: spec.module(shapes, {**params, "surplus": 1}))
    monkeypatch.setitem(OPS._items, "lraspp", broken)
    with pytest.raises(GenotypeError, match=r"node 'decoder/gate' \(lraspp\) cannot be built"):
        compile_graph(graph)


def test_deep_copies_share_the_graph_alone() -> None:
    network = compile_graph(small_graph(), seed=0).eval()
    twin = copy.deepcopy(network)
    assert twin.graph is network.graph
    images = torch.randn(1, 3, 45, 61)
    before = network(images)
    assert torch.equal(twin(images), before)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    assert torch.equal(network(images), before)


def test_channels_last_gives_the_same_logits() -> None:
    network = compile_graph(small_graph(), seed=0).eval()
    images = torch.randn(2, 3, 45, 61)
    with torch.no_grad():
        expected = network(images)
        network.to(memory_format=torch.channels_last)
        actual = network(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    network = compile_graph(small_graph(), seed=0).train()
    network(torch.randn(2, 3, 45, 61)).square().mean().backward()
    missing = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert missing == []


def test_the_network_can_be_exported_whole() -> None:
    network = compile_graph(small_graph(), seed=0).eval()
    images = torch.randn(1, 3, 45, 61)
    program = torch.export.export(network, (images,))
    torch.testing.assert_close(program.module()(images), network(images))


def test_auxiliary_outputs_are_computed_in_training_only() -> None:
    graph = auxiliary_graph()
    network = compile_graph(graph, seed=0).train()
    images = torch.randn(2, *graph.shape(graph.input))
    logits, hint = network(images)
    assert tuple(logits.shape) == (2, 5, 1, 1) and tuple(hint.shape) == (2, 5, 6, 7)
    calls: list[str] = []
    for name, module in network.named_children():
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
    alone = network.eval()(images)
    assert tuple(alone.shape) == (2, 5, 1, 1) and calls == ["features", "pool", "classifier"]
