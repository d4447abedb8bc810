"""What the methods add to the bilevel step: gates, guided logits, costs, expectations from draws, names."""

from __future__ import annotations

import inspect
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwnas.errors import HwnasError
from hwnas.search.gradient.cas import CostWeighted, parse_costs
from hwnas.search.gradient.expected import DrawnExpectation
from hwnas.search.gradient.logits import Logits
from hwnas.search.gradient.proxyless import pair_gates
from hwnas.search.gradient.setup import mixing_of
from hwnas.search.gradient.trace import Look, Traced
from hwnas.search.methods import METHODS
from hwnas.search.strategy import STRATEGIES
from hwnas.spaces.base import SPACES
from hwnas.spaces.gas import GASSpace
from hwnas.spaces.relaxed import has_relaxation, sample_from
from hwnas.supernet.samplers.base import SAMPLERS
from tests.contracts.toy_space import ToySpace
from tests.search.gradient.free_budget import Free


class SoftToy(ToySpace):
    """The toy space, its own choices soft."""

    @property
    def relaxation(self):
        return self.choices

    def choice_probabilities(self, probabilities):
        return dict(probabilities)

    def derive(self, probabilities):
        from hwnas.spaces.relaxed import most_probable

        return most_probable(self, probabilities)


SPACE = SoftToy()


def cost(decisions) -> float:
    return 1.0 + sum(float(value) for name, value in decisions.items() if name.startswith("x"))


def soft(seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return {choice.name: torch.from_numpy(rng.dirichlet(np.ones(len(choice.options)))) for choice in SPACE.choices}


def exact_mean(weights) -> torch.Tensor:
    return 1.0 + sum(weights[f"x{i}"] @ torch.arange(4.0, dtype=torch.float64) for i in range(8))


def test_the_drawn_expectation_is_near_the_exact_one():
    weights = soft()
    drawn = DrawnExpectation(SPACE, cost, window=2000, fresh=2000)
    assert float(drawn(weights)) == pytest.approx(float(exact_mean(weights)), rel=0.02)


def test_its_gradient_points_where_the_exact_one_does():
    logits = {name: vector.log().requires_grad_() for name, vector in soft(1).items()}
    drawn = DrawnExpectation(SPACE, cost, window=2000, fresh=2000)
    grads = []
    for function in (drawn, exact_mean):
        value = function({name: vector.softmax(0) for name, vector in logits.items()})
        found = torch.autograd.grad(value, [logits[f"x{i}"] for i in range(8)])
        grads.append(torch.cat(found))
    assert float(torch.cosine_similarity(*grads, dim=0)) > 0.95


def test_the_window_follows_probabilities_that_move():
    drawn = DrawnExpectation(SPACE, cost, window=400, fresh=100)
    for seed in range(5):
        weights = soft(seed)
        found = float(drawn(weights))
    for _ in range(4):
        found = float(drawn(weights))
    assert found == pytest.approx(float(exact_mean(weights)), rel=0.08)


def test_its_state_is_restored():
    first, second = DrawnExpectation(SPACE, cost), DrawnExpectation(SPACE, cost)
    first(soft(0))
    second.part().recall(first.part().facts())
    assert float(first(soft(1))) == float(second(soft(1)))


def test_error_where_nothing_can_be_priced():
    with pytest.raises(HwnasError, match="can price none"):
        DrawnExpectation(SPACE, lambda decisions: float("inf"))(soft())


def test_two_gates_are_drawn_and_only_their_logits_learn():
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64, requires_grad=True)
    gates = pair_gates(logits, generator=torch.Generator().manual_seed(0))
    assert sorted(gates.tolist())[:2] == [0.0, 0.0] and max(gates.tolist()) == 1.0
    assert int((gates > 0).sum()) == 2
    slopes = torch.tensor([1.0, 3.0, -2.0, 0.5], dtype=torch.float64)
    (gates * slopes).sum().backward()
    pair = (gates > 0).nonzero().flatten()
    shares = logits.detach()[pair].softmax(0)
    expected = torch.zeros(4, dtype=torch.float64)
    for place, i in enumerate(pair):  # the paper's equation 4
        for other, j in enumerate(pair):
            expected[i] += slopes[j] * shares[other] * (float(place == other) - shares[place])
    torch.testing.assert_close(logits.grad, expected)


def test_a_choice_of_one_option_has_an_open_gate():
    assert pair_gates(torch.zeros(1)).tolist() == [1.0]


def test_costs_add_to_the_penalty_by_their_weights():
    logits = Logits(SPACE.choices)
    both = {"macs": lambda weights: torch.tensor(2.0), "params": lambda weights: torch.tensor(4.0)}
    weighted = CostWeighted(Free(), both, parse_costs("macs=0.5+params=0.25"), logits)
    assert float(weighted.penalty(torch.tensor(1.0))) == 2.0
    assert parse_costs("") == {}


def test_drawn_costs_are_kept_with_the_budget():
    class Free:
        def parts(self):
            return {"multiplier": None}

    drawn = DrawnExpectation(SPACE, cost)
    costs = {"macs": drawn, "params": DrawnExpectation(SPACE, cost)}
    parts = CostWeighted(Free(), costs, {"macs": 0.5}, Logits(SPACE.choices)).parts()
    assert set(parts) == {"multiplier", "cost_macs"}
    drawn(soft())
    assert len(parts["cost_macs"].facts()["kept"]) == len(drawn.kept) > 0


@pytest.mark.parametrize("text", ["macs", "macs=", "macs=-1", "=2", "macs=a"])
def test_error_on_a_cost_without_a_weight(text):
    with pytest.raises(HwnasError, match="no cost with a weight"):
        parse_costs(text)


def test_what_one_cell_learns_reaches_its_neighbours_only():
    pytest.importorskip("torch_geometric")
    from hwnas.search.gradient.gas import GuidedLogits

    space = GASSpace(layers=4, reductions=())
    logits = GuidedLogits(space.cells, [(layer, layer + 1) for layer in range(3)], seed=0)
    before = logits.guided()
    assert all(torch.equal(before[name], logits.own.tensors[name]) for name in before), "γ begins at 0"
    with torch.no_grad():
        logits.gain.fill_(1.0)
    one = logits.guided()
    with torch.no_grad():
        logits.own.tensors["cell0.block0.left.op"].add_(5.0)
    two = logits.guided()
    moved = {int(name[4]) for name in one if not torch.equal(one[name], two[name])}
    assert moved == {0, 1, 2}, "two convolutions reach two cells on"
    twin = GuidedLogits(space.cells, [(0, 1), (1, 2), (2, 3)], seed=1)
    twin.load_state_dict(logits.state_dict())
    assert all(torch.equal(two[name], vector) for name, vector in twin.guided().items())


class Still:
    """A step that has learned something and learns no more."""

    finished = False

    def begin(self, fraction):
        pass

    def step(self, train, val):
        return {"loss": 1.0, "expected_ms": 10.0}

    def relaxation(self):
        return {name: vector.numpy() for name, vector in soft(3).items()}

    def parts(self):
        return {}


def test_the_trace_holds_expected_and_derived_latency_and_their_gap():
    seen = []
    traced = Traced(Still(), SPACE, cost, every=2, seen=lambda trace, derived: seen.append(derived))
    for _ in range(4):
        traced.begin(0.5)
        traced.step(None, None)
    derived = SPACE.derive(Still().relaxation())
    assert traced.looks == [Look(step, 10.0, cost(derived)) for step in (1, 2, 4)]  # 1: the first expectation
    assert traced.looks[0].gap == pytest.approx(cost(derived) / 10 - 1)
    assert seen == [derived] * 3
    twin = Traced(Still(), SPACE, cost, every=2)
    twin.parts()["trace"].recall(traced.parts()["trace"].facts())
    assert twin.looks == traced.looks and twin.steps == 4


def test_every_method_names_what_exists():
    for name in METHODS.names():
        method = METHODS.get(name)
        assert all(space in SPACES for space in method.spaces)
        if method.gradient:
            assert callable(method.prepare())
            assert all(has_relaxation(SPACES.get(space)) for space in method.spaces)
        else:
            assert method.strategy in STRATEGIES and method.sampler in SAMPLERS


def test_a_method_s_options_are_those_that_its_set_up_reads():
    for name in METHODS.names():
        method = METHODS.get(name)
        if method.gradient:
            source = inspect.getsource(inspect.getmodule(method.prepare()))
            shared = {"network_of": {"checkpoint"}, "mixing_of": {"paths"}}
            read = {option for part, options in shared.items() if f"{part}(order" in source for option in options}
            assert read | set(re.findall(r'options\.get\("(\w+)"', source)) == set(method.options)


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("darts", {"learn_from": 1.0}, "a number from 0 on, less than 1"),
        ("proxyless", {"learn_from": 2}, "a number from 0 on, less than 1"),
        ("auto-deeplab", {"search_filters": 0}, "a whole number from 1 on"),
        ("darts", {"look_every": 2.5}, "a whole number from 0 on"),
        ("cas", {"rate": -1.0}, "a number from 0 on"),
    ],
)
def test_options_that_would_search_nothing_are_refused(name, options, what):
    with pytest.raises(HwnasError, match="cannot be") as caught:
        METHODS.get(name).check_options(options)
    assert caught.value.hint == f"it can be: {what}"


def test_options_are_mixed_as_asked():
    logits = torch.tensor([2.0, 0.0, -1.0])
    draws = {}
    for paths in ("sampled", "soft", "gumbel", "sigmoid"):
        order = SimpleNamespace(options={"paths": paths})
        torch.manual_seed(0)
        draws[paths] = mixing_of(order)(logits)
    assert sorted(draws["sampled"].tolist()) == [0.0, 0.0, 1.0]
    torch.testing.assert_close(draws["soft"], logits.softmax(0))
    torch.testing.assert_close(draws["sigmoid"], logits.sigmoid())
    assert min(draws["gumbel"].tolist()) > 0 and float(draws["gumbel"].sum()) == pytest.approx(1)
    assert draws["gumbel"].argmax() == draws["sampled"].argmax(), "of the same draw"


def test_a_method_takes_the_space_that_fits_the_images():
    method = METHODS.get("auto-deeplab")
    assert method.space_for(None, ((96, 128), (48, 64)), 5) == "auto-deeplab-small"
    with pytest.raises(HwnasError, match="cannot search the space realtime"):
        method.space_for("realtime", ((96, 128),), 5)


def test_draws_from_a_relaxation_are_of_the_space():
    decisions = sample_from(SPACE, soft(), np.random.default_rng(0))
    assert set(decisions) <= {choice.name for choice in SPACE.choices}


def test_fine_grained_latency_keeps_the_value_and_weighs_the_slopes():
    from hwnas.search.gradient.fasterseg import SHARES, fine_grained

    weights = {name: torch.rand(3, requires_grad=True) for name in ("s8.layer1.op", "s8.layer1.width", "other")}

    def expected(given):
        return sum((place + 1) * vector.square().sum() for place, vector in enumerate(given.values()))

    plain = torch.autograd.grad(expected(weights), list(weights.values()))
    value = fine_grained(expected)(weights)
    found = torch.autograd.grad(value, list(weights.values()))
    assert float(value.detach()) == pytest.approx(float(expected(weights).detach()))
    assert (SHARES["op"], SHARES["way"], SHARES["width"]) == (0.001, 0.997, 0.002)  # section 3.2: O, s and χ
    for ours, theirs, group in zip(found, plain, ("op", "width", "way"), strict=True):
        torch.testing.assert_close(ours, SHARES[group] * theirs)


def test_the_teacher_has_full_width():
    from hwnas.search.gradient.fasterseg import Widest

    space = SPACES.get("fasterseg")
    weights = Widest(Logits(space.relaxation)).weights()
    for choice in space.relaxation:
        if choice.name.endswith(".width"):
            assert weights[choice.name].tolist() == [0, 0, 0, 0, 1]
