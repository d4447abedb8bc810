from __future__ import annotations

import math

import pytest

from hwnas.compiler.cost import Cost, cost_of, peak_activation_values
from hwnas.compiler.network import compile_graph
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from tests.compiler.graphs import auxiliary_graph, random_graph, small_graph


def chain_with_a_long_skip() -> OpGraph:
    """image 3x8x8 = 192; a, b, c, sum 4x8x8 = 256 each; head 2x8x8 = 128."""
    builder = GraphBuilder((3, 8, 8))
    a = builder.add("a", "conv_3x3", ["image"], {"channels": 4})
    b = builder.add("b", "conv_1x1", [a], {"channels": 4})
    c = builder.add("c", "max_pool_3x3", [b], {})
    total = builder.add("sum", "add", [c, a], {})
    return builder.finish(builder.add("head", "seg_head", [total], {"classes": 2}))


def test_cost_of_a_small_network_by_hand() -> None:
    params = (3 * 4 * 9 + 2 * 4) + (4 * 4 + 2 * 4) + (4 * 2 + 2)
    macs = 64 * (3 * 4 * 9 + 4 * 4 + 4 * 2)
    peak = 3 * 256  # while c runs: a (still needed), b, c; while the sum runs: a, c, sum
    assert cost_of(chain_with_a_long_skip()) == Cost(params, macs, 4 * peak, 4 * params)
    assert cost_of(chain_with_a_long_skip(), bytes_per_value=1).peak_activation_bytes == peak


def test_an_input_read_twice_counts_once() -> None:
    builder = GraphBuilder((3, 8, 8))
    graph = builder.finish(builder.add("sum", "add", ["image", "image"], {}))
    assert peak_activation_values(graph) == 2 * 192


def test_the_image_stays_while_something_reads_it() -> None:
    builder = GraphBuilder((3, 8, 8))
    a = builder.add("a", "conv_1x1", ["image"], {"channels": 3})
    b = builder.add("b", "conv_1x1", [a], {"channels": 3})
    graph = builder.finish(builder.add("sum", "add", [b, "image"], {}))
    assert peak_activation_values(graph) == 3 * 192


def test_the_output_stays_although_nothing_reads_it() -> None:
    builder = GraphBuilder((2, 4, 4))
    a = builder.add("a", "conv_1x1", ["image"], {"channels": 2})
    builder.add("unread", "conv_1x1", ["image"], {"channels": 10})
    assert peak_activation_values(builder.finish(a)) == 16 * (2 + 2 + 10)


def peak_by_looking_at_every_moment(graph: OpGraph) -> int:
    order = (graph.input, *graph.order)
    peak = 0
    for now in range(1, len(order)):
        held = 0
        for made, name in enumerate(order[: now + 1]):
            readers = [index for index, other in enumerate(order) if name in graph.graph.predecessors(other)]
            if made == now or name == graph.output or any(reader >= now for reader in readers):
                held += math.prod(graph.shape(name))
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize("seed", range(60))
def test_peak_equals_brute_force(seed: int) -> None:
    graph = random_graph(seed)
    assert peak_activation_values(graph) == peak_by_looking_at_every_moment(graph)


@pytest.mark.parametrize("graph", [small_graph(), random_graph(1), random_graph(2)])
def test_params_are_the_compiled_networks(graph: OpGraph) -> None:
    assert cost_of(graph).params == sum(value.numel() for value in compile_graph(graph).parameters())


def test_auxiliary_heads_count_only_when_asked_for() -> None:
    graph = auxiliary_graph()
    main = 6 * 27 + 12 + 5 * 7
    assert cost_of(graph).params == main
    assert cost_of(graph, auxiliary=True).params == main + 5 * 7
    assert cost_of(graph, auxiliary=True).macs - cost_of(graph).macs == 5 * 6 * 6 * 7
