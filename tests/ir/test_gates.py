"""Gates: truth under decisions, weight under probabilities, and what is left of a graph when they are fixed."""

from __future__ import annotations

import itertools
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.errors import GenotypeError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.gates import All, Any, Gate, Is, Not, Select, choices_of, holds, is_one_of
from hwnas.ir.isomorphism import correspondence
from hwnas.ir.odds import Node, diagram, probability
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ir.passes.fix_gates import fix_gates
from hwnas.ir.passes.simplify import simplify
from hwnas.ir.verify import verify

OPTIONS = {"a": (1, 2, 3), "b": ("x", "y"), "c": (False, True)}
leaves = st.sampled_from([Is(name, option) for name, options in OPTIONS.items() for option in options])
gates = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(*parts)),
        st.lists(inner, max_size=3).map(lambda parts: Any(*parts)),
        inner.map(Not),
    ),
    max_leaves=6,
)


def brute_force(gate: Gate, weights: dict) -> float:
    """Over all joint options of all choices."""
    total = 0.0
    for options in itertools.product(*OPTIONS.values()):
        decisions = dict(zip(OPTIONS, options, strict=True))
        if holds(gate, decisions):
            total += prod(weights[name][option] for name, option in decisions.items())
    return total


@settings(deadline=None, max_examples=150)
@given(gates, st.integers(0, 1000))
def test_probability_is_the_sum_over_all_joint_options(gate: Gate, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = {name: rng.dirichlet(np.ones(len(options))) for name, options in OPTIONS.items()}
    weights = {name: dict(zip(OPTIONS[name], vector.tolist(), strict=True)) for name, vector in vectors.items()}
    assert probability(gate, weights) == pytest.approx(brute_force(gate, weights), abs=1e-12)
    tensors = {name: dict(zip(OPTIONS[name], torch.tensor(v).unbind(), strict=True)) for name, v in vectors.items()}
    assert float(probability(gate, tensors)) == pytest.approx(brute_force(gate, weights), abs=1e-12)


@given(gates)
def test_under_decisions_a_gate_weighs_one_or_nothing(gate: Gate) -> None:
    decisions = {"a": 2, "b": "x", "c": True}
    one_hot = {name: {o: float(o == decisions[name]) for o in options} for name, options in OPTIONS.items()}
    assert probability(gate, one_hot) == float(holds(gate, decisions))
    assert holds(Not(gate), decisions) != holds(gate, decisions)
    assert set(choices_of(gate)) <= set(OPTIONS)


@given(gates)
def test_diagrams_of_gates_that_mean_the_same_are_one(gate: Gate) -> None:
    twins = (Not(Not(gate)), All(gate, gate), Any(gate, All(gate, Is("b", "x"))))
    assert all(diagram(twin) is diagram(gate) for twin in twins)
    assert diagram(All(gate, Not(gate))) is False


def test_a_diagram_asks_only_what_matters() -> None:
    found = diagram(Any(All(Is("a", 1), Is("b", "x")), Is("a", 2)))
    assert isinstance(found, Node)
    assert found.choice == "a" and found.rest is False
    assert dict(found.edges)[2] is True
    below = dict(found.edges)[1]
    assert isinstance(below, Node) and below.choice == "b" and below.edges == (("x", True),)


def test_weights_need_not_sum_to_one() -> None:
    weights = {"a": {1: 0.9, 2: 0.8, 3: 0.1}}
    assert probability(Is("a", 1), weights) == 0.9
    assert probability(is_one_of("a", (1, 2)), weights) == pytest.approx(1.7)


def test_an_undecided_choice_makes_what_asks_for_it_false() -> None:
    assert not holds(Is("a", 1), {"b": "x"})
    assert probability(All(Is("a", 1), Is("b", "x")), {"b": {"x": 1.0}}) == 0


def small() -> OpGraph:
    """Two branches into a sum, then a concatenation with a third; the width of one op is open."""
    builder = GraphBuilder((4, 8, 8))
    left = builder.add("left", "conv_3x3", ["image"], {"channels": 8})
    right = builder.add("right", "sep_conv_3x3", ["image"], {"channels": 8})
    builder.add("sum", "add", [left, right], gates={0: Is("op", "conv"), 1: Is("op", "sep")})
    extra = builder.add("extra", "conv_1x1", ["image"], open={"channels": Select.of("width", (4, 6))})
    builder.add("cat", "concat", ["sum", extra], gates={1: Not(Is("width", 0))})
    return builder.finish(builder.add("out", "conv_1x1", ["cat"], {"channels": 2}))


def test_fixing_leaves_the_network_of_the_decisions() -> None:
    graph = small()
    verify(graph)
    assert graph.is_open
    assert graph.shape("cat") == (14, 8, 8), "the largest width"
    fixed = fix_gates(graph, {"op": "sep", "width": 4})
    verify(fixed, dead_nodes=False)
    assert not fixed.is_open
    assert set(fixed.graph) == {"image", "right", "sum", "extra", "cat", "out"}
    assert fixed.shape("cat") == (12, 8, 8)
    assert [node.name for node in simplify(fixed).nodes] == ["right", "extra", "cat", "out"]


def test_what_lacks_an_input_is_not_there() -> None:
    fixed = fix_gates(small(), {"op": "conv", "width": 4})
    assert "right" not in fixed.graph
    with pytest.raises(GenotypeError, match="nothing of the supergraph's output"):
        builder = GraphBuilder((4, 8, 8))
        builder.add("sum", "add", ["image"], gates={0: Is("op", "conv")})
        fix_gates(builder.finish(builder.add("out", "relu", ["sum"])), {"op": "sep"})


def test_only_merges_can_have_gates() -> None:
    with pytest.raises(GenotypeError, match="only inputs of add and concat"):
        GraphBuilder((4, 8, 8)).add("a", "relu", ["image"], gates={0: Is("op", 1)})


def test_gates_count_in_fingerprints_and_survive_passes() -> None:
    graph = small()
    assert fingerprint(graph) != fingerprint(fix_gates(graph, {"op": "sep", "width": 4}))
    assert simplify(graph).node("sum").gates == graph.node("sum").gates


def test_corresponding_nodes_are_found_whatever_they_are_called() -> None:
    def twin(names: str, *, swapped: bool = False) -> OpGraph:
        builder = GraphBuilder((4, 8, 8))
        nodes = [builder.add(name, "conv_3x3", ["image"], {"channels": 4}) for name in names[:3]]
        deep = builder.add(names[3], "conv_3x3", [nodes[1]], {"channels": 4})
        builder.add("sum", "add", [nodes[0], deep] if swapped else [deep, nodes[0]])
        return builder.finish(builder.add("out", "concat", ["sum", nodes[2]]))

    ours, theirs = twin("abcd"), twin("wxyz", swapped=True)
    match = correspondence(ours, theirs)
    assert match is not None
    assert [match[name] for name in ("a", "b", "c", "d", "image")] == ["w", "x", "y", "z", "image"]
    assert correspondence(ours, small()) is None


def test_alike_nodes_are_matched_consistently() -> None:
    def symmetric(names: str) -> OpGraph:
        builder = GraphBuilder((4, 8, 8))
        first = [builder.add(name, "conv_3x3", ["image"], {"channels": 4}) for name in names[:2]]
        second = [builder.add(n, "relu", [s]) for n, s in zip(names[2:], first, strict=True)]
        return builder.finish(builder.add("out", "add", second))

    match = correspondence(symmetric("abcd"), symmetric("wxyz"))
    assert match is not None
    assert (match["a"], match["c"]) in {("w", "y"), ("x", "z")}
    assert {match["a"], match["b"]} == {"w", "x"}
