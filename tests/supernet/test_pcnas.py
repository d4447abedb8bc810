"""The pool of partial models grows choice by choice, within the budget, and only its continuations are trained."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.spaces.base import SPACES, Choice
from hwnas.spaces.decisions import uniform_decisions
from hwnas.supernet.samplers.base import Grounds
from hwnas.supernet.samplers.pcnas import PCNAS, growth_order

OPS = ("a", "b", "c", "d")


class Chain:
    """Six layers of four ops, the last one only where the first is not "a"; deeper letters cost and are worth more."""

    name = "chain"
    choices = tuple(Choice(f"layer{i}", OPS, {"layer0": ("b", "c", "d")} if i == 5 else {}) for i in range(6))

    def decode(self, decisions):
        raise NotImplementedError

    def sample(self, rng):
        return uniform_decisions(self, rng)


def cost(path):
    return 1.0 + sum(OPS.index(op) for op in path.values())


class Judge:
    """The dearer the better, and early layers count more: the best within a budget is known."""

    def losses(self, paths):
        return [20.0 - sum((6 - int(name[-1])) * OPS.index(op) for name, op in path.items()) / 4 for path in paths]


def sampler(budget_ms=12.0, **options):
    return PCNAS(Grounds(Chain(), cost, budget_ms, 1.25 * budget_ms, Judge(), np.random.default_rng(0)), **options)


def test_paths_are_uniform_until_the_warm_up_ends():
    pc = sampler(warmup=0.5)
    pc.advance(0.49)
    paths = pc.paths(200, np.random.default_rng(1))
    assert {path["layer0"] for path in paths} == set("abcd")
    assert max(cost(path) for path in paths) > 12.0  # a supernet should know what is just beyond the budget
    assert pc.partials == [{}] and pc.judged == 0


def test_a_choice_more_is_decided_as_the_training_goes_on():
    pc, rng = sampler(warmup=0.4, grown=0.9, pool_size=3), np.random.default_rng(1)
    lengths = []
    for fraction in (0.4, 0.5, 0.65, 0.9, 1.0):
        pc.advance(fraction)
        pc.paths(1, rng)
        lengths.append(max(map(len, pc.partials)))
        assert len(pc.partials) <= 3
    assert lengths == [0, 1, 3, 6, 6]


def test_only_continuations_of_the_pool_are_trained():
    pc, rng = sampler(pool_size=3), np.random.default_rng(1)
    pc.advance(0.65)
    for path in pc.paths(60, rng):
        assert any(partial.items() <= path.items() for partial in pc.partials)
        assert cost(path) <= 12.0


def test_the_best_within_the_budget_is_found_and_alone_is_trained_last():
    pc, rng = sampler(budget_ms=12.0, completions=8), np.random.default_rng(1)
    pc.advance(1.0)
    pc.paths(1, rng)
    best = {"layer0": "d", "layer1": "d", "layer2": "d", "layer3": "c", "layer4": "a", "layer5": "a"}
    pool = pc.pool()
    assert len(pool) == 5 and dict(pool[0].decisions) == best
    assert {tuple(path.items()) for path in pc.paths(200, rng)} == {tuple(each.decisions.items()) for each in pool}


def test_a_choice_that_is_not_active_is_passed_by():
    class Reversed(Judge):
        def losses(self, paths):
            return [-loss for loss in super().losses(paths)]

    pc = PCNAS(Grounds(Chain(), cost, 12.0, 12.0, Reversed(), np.random.default_rng(0)))
    pc.advance(1.0)
    pc.paths(1, np.random.default_rng(1))
    assert all(("layer5" in each.decisions) == (each.decisions["layer0"] != "a") for each in pc.pool())
    assert dict(pc.pool()[0].decisions) == {f"layer{i}": "a" for i in range(5)}


def test_a_budget_that_one_genotype_meets():
    pc, rng = sampler(budget_ms=1.0), np.random.default_rng(1)
    for fraction in np.linspace(0.4, 1.0, 20):
        pc.advance(float(fraction))
        assert pc.paths(1, rng) == [{f"layer{i}": "a" for i in range(5)}]
    assert len(pc.pool()) == 1


def test_error_where_choices_have_no_order_names_spaces_that_do():
    class Backwards(Chain):
        name = "backwards"
        choices = (Choice("x", (1, 2), {"y": (1,)}), Choice("y", (1, 2)))

    with pytest.raises(HwnasError, match="'x' depends on 'y', which is decided later") as caught:
        growth_order(Backwards())
    assert "realtime" in caught.value.hint


def test_registered_spaces_can_be_grown():
    for name in SPACES.names():
        assert growth_order(SPACES.get(name))


@pytest.mark.parametrize("options", [{"pool_size": 0}, {"completions": 0}, {"warmup": 0.9, "grown": 0.5}])
def test_error_on_impossible_options(options):
    with pytest.raises(HwnasError, match="pcnas cannot"):
        sampler(**options)
