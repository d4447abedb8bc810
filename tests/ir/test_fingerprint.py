"""Fingerprints of op graphs, cells and genotypes."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_documents import document
from ir_graphs import op_graphs

from hwnas.ir.cell import Cell
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ir.serialize import genotype_from_dict
from hwnas.ops.spec import OPS


def renamed(graph: OpGraph, random: Random) -> OpGraph:
    """The same graph with other node names, built in another order, commutative inputs shuffled."""
    names = list(graph.graph)
    random.shuffle(names)
    new_name = {name: f"x{index}" for index, name in enumerate(names)}
    made = nx.MultiDiGraph()
    for name in names:
        made.add_node(new_name[name], **graph.graph.nodes[name])
    for name in names:
        if name == graph.input:
            continue
        node = graph.node(name)
        inputs = list(enumerate(node.inputs))
        if OPS.get(node.op).commutative:
            random.shuffle(inputs)
            inputs = list(enumerate(source for _, source in inputs))
        for slot, source in random.sample(inputs, len(inputs)):
            made.add_edge(new_name[source], new_name[name], slot=slot)
    return OpGraph(nx.freeze(made), new_name[graph.input], new_name[graph.output])


def as_networkx(graph: OpGraph) -> nx.DiGraph:
    """A graph whose isomorphism is the equality that a fingerprint stands for."""
    made = nx.DiGraph()
    for name, data in graph.graph.nodes(data=True):
        label = (data.get("op"), tuple(data.get("params", {}).items()), data["shape"], name == graph.output)
        made.add_node(name, label=label)
    for name in graph.order:
        node = graph.node(name)
        ordered = not OPS.get(node.op).commutative
        for source in set(node.inputs):
            slots = [slot if ordered else -1 for slot, other in enumerate(node.inputs) if other == source]
            made.add_edge(source, name, label=slots)
    return made


def isomorphic(a: OpGraph, b: OpGraph) -> bool:
    match = nx.algorithms.isomorphism
    return nx.is_isomorphic(
        as_networkx(a),
        as_networkx(b),
        node_match=match.categorical_node_match("label", None),
        edge_match=match.categorical_edge_match("label", None),
    )


@given(op_graphs(), st.integers(0, 2**32))
@settings(max_examples=200)
def test_names_and_orders_do_not_count(graph: OpGraph, seed: int) -> None:
    assert fingerprint(graph) == fingerprint(renamed(graph, Random(seed)))


@given(op_graphs(6), op_graphs(6))
@settings(max_examples=100)
def test_two_graphs_are_equal_exactly_if_isomorphic(a: OpGraph, b: OpGraph) -> None:
    assert (fingerprint(a) == fingerprint(b)) == isomorphic(a, b)


def edited(graph: OpGraph, data: st.DataObject) -> OpGraph:
    """One op, parameter, edge or the output changed; shapes are left as they were."""
    nodes = {node.name: node for node in graph.nodes}
    name = data.draw(st.sampled_from(sorted(nodes)))
    node, output = nodes[name], graph.output
    kind = data.draw(st.sampled_from(["op", "param", "edge", "swap", "output"]))
    if kind == "op":
        nodes[name] = replace(node, op=data.draw(st.sampled_from(["conv_3x3", "skip_connect", "add", "concat"])))
    elif kind == "param":
        nodes[name] = replace(node, params={**node.params, "stride": data.draw(st.sampled_from([1, 2]))})
    elif kind == "edge":
        slot = data.draw(st.integers(0, len(node.inputs) - 1))
        source = data.draw(st.sampled_from([graph.input, *graph.order[: graph.order.index(name)]]))
        nodes[name] = replace(node, inputs=(*node.inputs[:slot], source, *node.inputs[slot + 1 :]))
    elif kind == "swap":
        nodes[name] = replace(node, inputs=node.inputs[::-1])
    else:
        output = name
    made = nx.MultiDiGraph()
    made.add_nodes_from(graph.graph.nodes(data=True))
    for node in nodes.values():
        made.add_node(node.name, op=node.op, params=node.params)
        for slot, source in enumerate(node.inputs):
            made.add_edge(source, node.name, slot=slot)
    return OpGraph(nx.freeze(made), graph.input, output)


@given(op_graphs(7), st.data())
@settings(max_examples=300)
def test_single_edits_agree_with_networkx(graph: OpGraph, data: st.DataObject) -> None:
    other = edited(graph, data)
    assert (fingerprint(graph) == fingerprint(other)) == isomorphic(graph, other)


def test_computing_twice_is_not_sharing() -> None:
    conv = {"channels": 4}
    twice, shared = GraphBuilder((4, 8, 8)), GraphBuilder((4, 8, 8))
    twice.add("a", "conv_3x3", ["image"], conv)
    twice.add("b", "conv_3x3", ["image"], conv)
    twice.add("out", "add", ["a", "b"])
    shared.add("a", "conv_3x3", ["image"], conv)
    shared.add("out", "add", ["a", "a"])
    assert fingerprint(twice.finish("out")) != fingerprint(shared.finish("out"))


def ordered_pair(op: str, first: str, second: str) -> Cell:
    nodes = [
        Node("conv", "conv_3x3", ("x",)),
        Node("pool", "max_pool_3x3", ("x",)),
        Node("out", op, (first, second)),
    ]
    return Cell.of(["x"], nodes, "out")


@pytest.mark.parametrize(("op", "same"), [("add", True), ("mul", True), ("concat", False)])
def test_only_commutative_ops_forget_the_order_of_inputs(op: str, same: bool) -> None:
    one, other = ordered_pair(op, "conv", "pool"), ordered_pair(op, "pool", "conv")
    assert (fingerprint(one) == fingerprint(other)) == same


def test_inputs_of_a_cell_count_by_order_and_not_by_name() -> None:
    def cell(inputs: list[str], source: str) -> Cell:
        return Cell.of(inputs, [Node("n", "conv_3x3", (source,))], "n")

    assert fingerprint(cell(["a", "b"], "a")) == fingerprint(cell(["p", "q"], "p"))
    assert fingerprint(cell(["a", "b"], "a")) != fingerprint(cell(["a", "b"], "b"))


def test_genotypes_differ_by_skeleton_parameters_and_roles_but_not_by_name() -> None:
    genotype = genotype_from_dict(document())
    first = fingerprint(genotype)
    assert fingerprint(replace(genotype, name="other")) == first
    assert fingerprint(replace(genotype, skeleton="plain")) != first
    assert fingerprint(replace(genotype, params={**genotype.params, "head_width": 33})) != first
    assert fingerprint(replace(genotype, params={**genotype.params, "head_width": 32.0})) == first
    cells = dict(genotype.cells)
    assert fingerprint(replace(genotype, cells={"stage2": cells["stage1"], "decoder": cells["decoder"]})) != first


def test_a_decoder_that_reads_another_stage_differs() -> None:
    """Skeletons connect a cell's inputs by their names."""
    genotype = genotype_from_dict(document())
    other = document()
    other["cells"]["decoder"]["inputs"] = ["stage1"]
    other["cells"]["decoder"]["nodes"][0]["inputs"] = ["stage1"]
    assert fingerprint(genotype) != fingerprint(genotype_from_dict(other))


def test_a_hundred_nodes_take_milliseconds() -> None:
    build = GraphBuilder((3, 64, 64))
    source = build.add("stem", "conv_3x3", ["image"], {"channels": 16, "stride": 2})
    for index in range(24):
        branches = [build.add(f"b{index}/{k}", "ds_conv_3x3", [source], {"channels": 16}) for k in range(3)]
        source = build.add(f"b{index}/add", "add", branches)
    graph = build.finish(source)
    fingerprint(graph)  # the first call loads the ops

    def seconds() -> float:
        started = time.process_time()
        fingerprint(graph)
        return time.process_time() - started

    assert min(seconds() for _ in range(5)) < 0.02
