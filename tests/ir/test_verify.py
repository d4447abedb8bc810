"""Faults in op graphs that no builder would make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from ir_graphs import op_graphs

from hwnas.errors import GenotypeError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ir.verify import verify


def graph() -> OpGraph:
    build = GraphBuilder((3, 32, 32))
    build.add("stem", "conv_3x3", ["image"], {"channels": 8, "stride": 2})
    build.add("dead", "conv_1x1", ["stem"], {"channels": 8})
    build.add("sum", "add", ["stem", "stem"])
    return build.finish("sum")


@given(op_graphs())
def test_what_the_builder_makes_is_well_formed(made: OpGraph) -> None:
    verify(made)


FAULTS: list[tuple[Callable[[nx.MultiDiGraph], Any], str]] = [
    (lambda g: g.remove_node("sum"), "the output 'sum' .* is not one of its nodes"),
    (lambda g: g.add_edge("dead", "image", slot=0), "the input 'image' .* takes an input"),
    (lambda g: g.add_edge("sum", "stem", slot=1), "form a cycle"),
    (lambda g: g.nodes["stem"].update(op="conv_9x9"), "'stem' .*unknown op"),
    (lambda g: g.nodes["stem"].pop("params"), "'stem' has no params"),
    (lambda g: g.nodes["stem"].update(params={"channels": 8}), "'stem' .*'activation' is not given"),
    (lambda g: g.nodes["stem"].update(shape=(8, 16, 15)), "'stem' .* says its shape is 8x16x15, but .* 8x16x16"),
    (lambda g: g.remove_edge("stem", "sum", 0), r"'sum' has inputs in the slots \[1\]"),
    (lambda g: g.add_edge("image", "stem", slot=1), "'stem' .*takes 1 input"),
    (lambda g: g.add_edge("image", "sum", slot=2), "'sum' .*its input 2 is 3x32x32"),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_fault_names_the_node(damage: Callable[[nx.MultiDiGraph], Any], message: str) -> None:
    broken = nx.MultiDiGraph(graph().graph)
    damage(broken)
    with pytest.raises(GenotypeError, match=message):
        verify(OpGraph(broken, "image", "sum"))


def test_dead_nodes_are_a_fault_only_where_asked() -> None:
    verify(graph())
    with pytest.raises(GenotypeError, match="'dead' does not reach the output"):
        verify(graph(), dead_nodes=False)
