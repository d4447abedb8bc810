"""The certificate against networkx's own isomorphism test."""

from __future__ import annotations

import time
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.ir.canonical import certificate

Graph = tuple[list[str], dict[tuple[int, int], str]]


@st.composite
def dags(draw: st.DrawFn, most: int = 7) -> Graph:
    """Few labels and many edges, so that many nodes look alike."""
    count = draw(st.integers(1, most))
    labels = draw(st.lists(st.sampled_from("ab"), min_size=count, max_size=count))
    pairs = list(combinations(range(count), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return labels, {ends: draw(st.sampled_from("xy")) for ends in chosen}


def permuted(graph: Graph, order: list[int]) -> Graph:
    labels, edges = graph
    new = [""] * len(labels)
    for old, place in enumerate(order):
        new[place] = labels[old]
    shuffled = list(edges.items())[::-1]
    return new, {(order[source], order[target]): label for (source, target), label in shuffled}


def as_networkx(graph: Graph) -> nx.DiGraph:
    labels, edges = graph
    made = nx.DiGraph()
    made.add_nodes_from((node, {"label": label}) for node, label in enumerate(labels))
    made.add_edges_from((source, target, {"label": label}) for (source, target), label in edges.items())
    return made


def isomorphic(a: Graph, b: Graph) -> bool:
    same = nx.algorithms.isomorphism.categorical_node_match("label", None)
    same_edge = nx.algorithms.isomorphism.categorical_edge_match("label", None)
    return nx.is_isomorphic(as_networkx(a), as_networkx(b), node_match=same, edge_match=same_edge)


@given(dags(10), st.randoms(use_true_random=False))
def test_permutation_does_not_change_the_certificate(graph: Graph, random) -> None:
    order = list(range(len(graph[0])))
    random.shuffle(order)
    assert certificate(*graph) == certificate(*permuted(graph, order))


@given(dags(5), dags(5))
@settings(max_examples=200)
def test_equal_exactly_if_isomorphic(a: Graph, b: Graph) -> None:
    assert (certificate(*a) == certificate(*b)) == isomorphic(a, b)


@given(dags(6), st.data())
@settings(max_examples=200)
def test_single_edits_agree_with_networkx(graph: Graph, data: st.DataObject) -> None:
    labels, edges = graph
    edited_labels, edited = list(labels), dict(edges)
    node = data.draw(st.integers(0, len(labels) - 1))
    edited_labels[node] = data.draw(st.sampled_from("ab"))
    if edges:
        source, target = data.draw(st.sampled_from(sorted(edges)))
        label = edited.pop((source, target))
        other = data.draw(st.integers(0, target - 1))
        edited.setdefault((other, target), label)
    assert (certificate(labels, edges) == certificate(edited_labels, edited)) == isomorphic(
        graph, (edited_labels, edited)
    )


def bipartite(edges: list[tuple[int, int]], count: int) -> Graph:
    return ["a"] * count + ["b"] * count, {(source, count + target): "" for source, target in edges}


def test_regular_graphs_that_refinement_cannot_tell_apart() -> None:
    """One 12-cycle against two 6-cycles, as two-layer DAGs: every node sees the same everywhere."""
    ring = bipartite([(i, (i + step) % 6) for i in range(6) for step in (0, 1)], 6)
    two = bipartite([(base + i, base + (i + step) % 3) for base in (0, 3) for i in range(3) for step in (0, 1)], 6)
    assert certificate(*ring) != certificate(*two)
    order = list(np.random.default_rng(0).permutation(12))
    assert certificate(*ring) == certificate(*permuted(ring, order))


def parallel_branches(count: int, depth: int) -> Graph:
    """``count`` identical chains of ``depth`` between one source and one sink."""
    labels, edges = ["in", "out"], {}
    for _ in range(count):
        previous = 0
        for _ in range(depth):
            labels.append("conv")
            edges[previous, len(labels) - 1] = ""
            previous = len(labels) - 1
        edges[previous, 1] = ""
    return labels, edges


@pytest.mark.parametrize(("count", "depth"), [(12, 8), (2, 50), (49, 2), (1, 98)])
def test_many_identical_branches_are_fast(count: int, depth: int) -> None:
    graph = parallel_branches(count, depth)
    started = time.process_time()
    text = certificate(*graph)
    assert time.process_time() - started < 0.05
    assert text == certificate(*permuted(graph, list(range(len(graph[0])))[::-1]))
