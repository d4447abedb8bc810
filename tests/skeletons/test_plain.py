"""The plain skeleton: its own classifier or the cell's, auxiliary heads, and what it refuses."""

from __future__ import annotations

import pytest

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.verify import verify
from hwnas.shapes import Value
from hwnas.skeletons.base import expand, task_of

BODY = (Node("stem/conv", "conv_3x3", ("image",), {"channels": 8, "stride": 2}),)
HEAD = Cell.of(["stem/conv"], [Node("logits", "bare_conv_1x1", ("stem/conv",), {"bias": False})], "logits")


def expanded(*more: Node, cells: dict[str, Cell] | None = None, **params: Value) -> OpGraph:
    nodes = [*BODY, *more]
    network = Cell.of(["image"], nodes, nodes[-1].name)
    graph = expand(Genotype("small", "plain", {"network": network, **(cells or {})}, params), (3, 33, 48), 5)
    verify(graph)
    return graph


def test_the_skeleton_classifies_unless_the_cell_does() -> None:
    assert expanded().order == ("stem/conv", "classifier", "upsample")
    graph = expanded(Node("logits", "bare_conv_3x3", ("stem/conv",)), classifier=False)
    assert graph.order == ("stem/conv", "logits", "upsample")
    assert graph.shape("logits") == (5, 17, 24)  # a channel a class


def test_logits_of_the_images_size_are_not_resized() -> None:
    graph = expanded(Node("logits", "conv_transpose_3x3", ("stem/conv", "image")), classifier=False)
    assert graph.output == "logits"
    assert graph.shape("logits") == (5, 33, 48)


def test_logits_of_one_pixel_classify() -> None:
    pool = Node("pool", "global_avg_pool", ("stem/conv",))
    graph = expanded(pool, Node("logits", "bare_conv_1x1", ("pool",)), classifier=False)
    assert task_of(graph) == "classification"


def test_auxiliary_heads_are_there_where_asked_for() -> None:
    assert not expanded(cells={"extra": HEAD}).auxiliary
    graph = expanded(cells={"extra": HEAD}, auxiliary=True)
    assert graph.auxiliary == ("extra/logits",)
    assert graph.only_auxiliary == {"extra/logits"}
    chosen = expanded(cells={"extra": HEAD, "other": HEAD}, auxiliary=("other",))
    assert chosen.auxiliary == ("other/logits",)


def test_a_resize_takes_its_size_from_a_second_input() -> None:
    small = Node("small", "conv_3x3", ("stem/conv",), {"channels": 8, "stride": 2})
    graph = expanded(small, Node("up", "resize_nearest", ("small", "image")))
    assert graph.shape("up") == (8, 33, 48)
    assert graph.node("up").inputs == ("small",)


@pytest.mark.parametrize(
    ("params", "cells", "message"),
    [
        ({"auxilary": True}, {}, "no parameter 'auxilary'"),
        ({"classifier": 1}, {}, "classifier must be true or false"),
        ({"classifier": False}, {}, "its output has 8 channels, not 5"),
        ({"auxiliary": True}, {"extra": Cell.of(["x"], [], "x")}, "takes 'x', not a node"),
        ({"auxiliary": ("extr",)}, {"extra": HEAD}, "auxiliary must be true, false or a list of cells"),
    ],
)
def test_error_on_what_does_not_fit(params: dict[str, Value], cells: dict[str, Cell], message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        expanded(cells=cells, **params)
