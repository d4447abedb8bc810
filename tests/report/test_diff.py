"""Differences of two graphs: what is moved, renamed, changed, added, removed; and the pictures of them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.ir.cell import Cell
from hwnas.ir.node import Node
from hwnas.report.diff import (
    ADDED,
    CHANGED,
    REMOVED,
    differences,
    differing_params,
    draw_differences,
    match,
    side_of_cell,
)
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import load

BASE = (
    Node("a", "conv_3x3", ("x",), {"channels": 8}),
    Node("b", "conv_1x1", ("a",), {"channels": 8}),
    Node("c", "add", ("a", "b")),
)


def compare(*nodes: Node):
    left, right = (side_of_cell(Cell.of(["x"], side, side[-1].name), "t") for side in (BASE, nodes))
    return match(left, right)


def test_names_and_the_order_of_summands_do_not_matter() -> None:
    renamed = (Node("p", "conv_3x3", ("x",), {"channels": 8}), Node("q", "conv_1x1", ("p",), {"channels": 8}))
    found = compare(*renamed, Node("r", "add", ("q", "p")))
    assert found.equal
    assert found.same == {"a": "p", "b": "q", "c": "r"}


def test_what_stands_behind_a_change_has_not_changed() -> None:
    found = compare(Node("a", "conv_5x5", ("x",), {"channels": 8}), *BASE[1:])
    assert (set(found.changed), set(found.same)) == ({"a"}, {"b", "c"})


def test_a_node_with_another_input_has_changed() -> None:
    found = compare(BASE[0], Node("b", "conv_1x1", ("x",), {"channels": 8}), BASE[2])
    assert (set(found.changed), set(found.same)) == ({"b"}, {"a", "c"})


def test_nodes_of_one_side_are_removed_or_added() -> None:
    found = compare(BASE[0], Node("n", "relu", ("a",)))
    assert (found.removed, found.added, set(found.same)) == (("b", "c"), ("n",), {"a"})


@given(st.permutations(range(6)))
@settings(max_examples=30, deadline=None)
def test_a_cell_is_equal_to_itself_under_other_names(order: list[int]) -> None:
    """Six convolutions, two of them alike, in any order of names."""
    ops = ["conv_1x1", "conv_3x3", "conv_3x3", "conv_5x5", "max_pool_3x3", "skip_connect"]
    sides = []
    for names in (list(range(6)), order):
        nodes = [Node(f"n{name}", op, ("x",)) for name, op in zip(names, ops, strict=True)]
        nodes.append(Node("out", "concat", tuple(node.name for node in nodes)))
        sides.append(side_of_cell(Cell.of(["x"], nodes, "out"), "t"))
    found = match(*sides)
    assert not (found.removed or found.added)
    assert set(found.changed) <= {"out"}  # the order of a concatenation counts


def test_two_genotypes_of_the_zoo(tmp_path: Path) -> None:
    left, right = load("darts-v1"), load("darts-v2")
    found = differences(left, right)
    assert found["normal"].changed["state5/b"] == "state5/b"
    assert all(differences(left, left)[role].equal for role in left.cells)
    graphs = [expand(genotype, (3, 32, 32), 10) for genotype in (left, right)]
    files = draw_differences((left, graphs[0]), (right, graphs[1]), tmp_path, formats=["dot"])
    assert [path.name for path in files] == ["diff-cell-normal.dot", "diff-cell-reduce.dot", "diff-network.dot"]
    text = files[0].read_text()
    assert all(colour in text for colour in (CHANGED, REMOVED, ADDED))


def test_params_that_differ_are_told() -> None:
    said = differing_params(load("auto-deeplab-s"), load("auto-deeplab-l"))
    assert said == ["filters: 20 → 48"] or any(line.startswith("filters: 20 → ") for line in said)
    assert differing_params(load("enet"), load("enet")) == []
