"""Passes: what they remove, that names stay, and that the compiled network computes the same."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from ir_graphs import op_graphs

from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ir.passes.flatten_sums import flatten_sums
from hwnas.ir.passes.remove_dead_branches import remove_dead_branches
from hwnas.ir.passes.remove_identities import remove_identities
from hwnas.ir.passes.simplify import simplify
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.ir.verify import verify


def builder() -> GraphBuilder:
    return GraphBuilder((4, 8, 8))


def wiring(graph: OpGraph) -> dict[str, tuple[str, ...]]:
    return {node.name: node.inputs for node in graph.nodes}


def test_identities_are_removed_and_their_readers_rewired() -> None:
    build = builder()
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    build.add("skip", "skip_connect", ["a"])
    build.add("same", "resize_bilinear", ["skip"], {"height": 8, "width": 8})
    build.add("one", "concat", ["same"])
    build.add("out", "add", ["one", "a", "skip"])
    assert wiring(remove_identities(build.finish("out"))) == {"a": ("image",), "out": ("a", "a", "a")}


def test_a_resize_to_another_size_and_two_summands_stay() -> None:
    build = builder()
    build.add("small", "resize_nearest", ["image"], {"height": 4, "width": 8})
    build.add("out", "add", ["small", "small"])
    graph = build.finish("out")
    assert remove_identities(graph) is graph


def test_an_identity_at_the_output_is_removed() -> None:
    build = builder()
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    build.add("skip", "skip_connect", ["a"])
    assert remove_identities(build.finish("skip")).output == "a"


def test_a_graph_that_computes_nothing_keeps_its_output_node() -> None:
    build = builder()
    build.add("first", "skip_connect", ["image"])
    build.add("last", "skip_connect", ["first"])
    assert wiring(simplify(build.finish("last"))) == {"last": ("image",)}


def test_nodes_that_do_not_reach_the_output_are_removed() -> None:
    build = builder()
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    build.add("dead", "conv_3x3", ["a"], {"channels": 4})
    build.add("deader", "conv_3x3", ["dead"], {"channels": 4})
    assert wiring(remove_dead_branches(build.finish("a"))) == {"a": ("image",)}


def with_auxiliary() -> OpGraph:
    build = builder()
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    build.add("aside", "conv_1x1", ["a"], {"channels": 4})
    build.add("hint", "seg_head", ["aside"], {"classes": 2})
    build.add("dead", "conv_1x1", ["a"], {"channels": 4})
    build.add("skip", "skip_connect", ["a"])
    return build.finish(build.add("out", "seg_head", ["skip"], {"classes": 2}), ["hint"])


def test_what_auxiliary_outputs_need_stays_until_it_is_asked_away() -> None:
    graph = with_auxiliary()
    assert graph.only_auxiliary == {"aside", "hint"}
    simple = simplify(graph)
    verify(simple, dead_nodes=False)
    assert set(simple.order) == {"a", "aside", "hint", "out"} and simple.auxiliary == ("hint",)
    deployed = without_auxiliary(graph)
    assert set(deployed.order) == {"a", "dead", "skip", "out"} and not deployed.auxiliary
    assert without_auxiliary(deployed) is deployed
    assert fingerprint(simple) != fingerprint(simplify(deployed))


def test_an_auxiliary_output_that_is_an_identity_is_what_it_reads() -> None:
    build = builder()
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    build.add("hint", "skip_connect", ["a"])
    assert remove_identities(build.finish(build.add("out", "relu", ["a"]), ["hint"])).auxiliary == ("a",)


def test_zeros_are_dropped_from_sums_and_what_fed_them_with_them() -> None:
    build = builder()
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    build.add("b", "conv_3x3", ["image"], {"channels": 4})
    build.add("zero", "none", ["b"])
    build.add("pooled", "avg_pool_3x3", ["zero"])
    build.add("out", "add", ["pooled", "a", "zero"])
    graph = build.finish("out")
    assert wiring(remove_dead_branches(graph)) == {"a": ("image",), "out": ("a",)}
    assert wiring(simplify(graph)) == {"a": ("image",)}


def test_zeros_stay_where_a_convolution_or_a_concat_reads_them() -> None:
    build = builder()
    build.add("zero", "none", ["image"])
    build.add("conv", "conv_3x3", ["zero"], {"channels": 4})
    build.add("out", "concat", ["zero", "conv"])
    graph = build.finish("out")
    assert simplify(graph) is graph


def test_a_sum_of_zeros_only_is_a_zero() -> None:
    build = builder()
    build.add("zero", "none", ["image"])
    build.add("other", "none", ["image"])
    build.add("out", "add", ["other", "zero"])
    assert wiring(simplify(build.finish("out"))) == {"other": ("image",)}


@given(op_graphs())
def test_simplified_graphs_are_well_formed_and_final(graph: OpGraph) -> None:
    simple = simplify(graph)
    verify(simple, dead_nodes=False)
    assert simplify(simple) is simple
    assert all(simple.shape(node.name) == graph.shape(node.name) for node in simple.nodes)
    assert all(node.op in (graph.node(node.name).op, "none") for node in simple.nodes), "but zeros are made by none"
    assert nx.is_frozen(simple.graph)


@given(op_graphs())
@settings(max_examples=40)
def test_the_compiled_network_computes_the_same(graph: OpGraph) -> None:
    torch = pytest.importorskip("torch")
    from hwnas.compiler.network import compile_graph

    torch.set_num_threads(1)
    images = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    full, simple = compile_graph(graph, seed=0).eval(), compile_graph(simplify(graph), seed=1).eval()
    weights = full.state_dict()
    simple.load_state_dict({key: weights[key] for key in simple.state_dict()})
    with torch.no_grad():
        torch.testing.assert_close(simple(images), full(images))


def test_sums_of_sums_are_taken_apart_unless_that_explodes() -> None:
    build = builder()
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    build.add("inner", "add", ["a", "image"])
    build.add("reader", "relu", ["inner"])
    build.add("out", "add", ["inner", "a", "reader"])
    flat = wiring(flatten_sums(build.finish("out")))
    assert flat["out"] == ("a", "image", "a", "reader") and flat["inner"] == ("a", "image")
    last = "image"
    for step in range(20):
        last = build.add(f"double{step}", "add", [last, last])
    graph = build.finish(last)
    simple = simplify(graph)
    assert max(len(inputs) for inputs in wiring(simple).values()) <= 256
    assert simplify(simple) is simple


def test_zeros_depend_on_nothing() -> None:
    build = builder()
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    build.add("zero", "none", ["a"])
    build.add("out", "concat", ["zero", "image"])
    assert wiring(simplify(build.finish("out"))) == {"zero": ("image",), "out": ("zero", "image")}


def test_constants_are_dropped_only_where_exactness_is_not_wanted() -> None:
    build = builder()
    build.add("zero", "none", ["image"])
    build.add("constant", "conv_3x3", ["zero"], {"channels": 4})
    build.add("a", "conv_3x3", ["image"], {"channels": 4})
    graph = build.finish(build.add("out", "add", ["constant", "a"]))
    assert simplify(graph) is graph
    assert wiring(simplify(graph, exact=False)) == {"a": ("image",)}


def test_what_is_computed_alike_is_computed_once_only_where_exactness_is_not_wanted() -> None:
    build = builder()
    conv = {"channels": 4}
    build.add("a", "conv_3x3", ["image"], conv)
    build.add("b", "conv_3x3", ["image"], conv)
    build.add("other", "conv_1x1", ["image"], conv)
    build.add("left", "mul", ["a", "other"])
    build.add("right", "mul", ["other", "b"])
    build.add("joined", "concat", ["left", "right"])
    graph = build.finish(build.add("out", "seg_head", ["b"], {"classes": 2}), ["joined"])
    assert simplify(graph) is graph
    assert wiring(simplify(graph, exact=False)) == {
        "a": ("image",),
        "other": ("image",),
        "left": ("a", "other"),
        "joined": ("left", "left"),
        "out": ("a",),
    }
