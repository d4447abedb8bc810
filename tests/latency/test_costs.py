"""Costs in one interface: exact for a network, and the same for whole populations."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import HwnasError
from hwnas.latency.contract import TimingContract
from hwnas.latency.costs.base import COSTS, CostSetting, Population, PopulationCosts, cost_kinds, cost_model
from hwnas.latency.features import rough_cost
from hwnas.latency.keys import LatencyKey
from hwnas.latency.model import TableModel
from hwnas.latency.plan import space_factors
from hwnas.latency.table import Entry, LatencyTable
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import random_decisions

COUNTS = ("params", "macs", "weight_bytes")
SIZE_HW = (90, 122)


@pytest.fixture
def table(space) -> LatencyTable:
    """A time for every kernel of the tiny space, in proportion to its work."""
    factors = space_factors(space, SIZE_HW, 5, np.random.default_rng(0))
    keys = [key for key in factors.values if isinstance(key, LatencyKey)]
    contract = TimingContract("a cpu", 2, "onnxruntime", "1.0", "int8", 1, SIZE_HW)
    return LatencyTable(contract, {key.text: Entry(0.01 + rough_cost(key) / 1e8) for key in keys})


def test_counts_of_a_population_are_exactly_those_of_its_networks() -> None:
    """The whole realtime space, 1,000 random genotypes."""
    realtime, rng = SPACES.get("realtime"), np.random.default_rng(0)
    population = Population(realtime, SIZE_HW, 5, rng)
    costs = PopulationCosts([cost_model(name, CostSetting()) for name in COUNTS], population)
    drawn = [random_decisions(realtime, rng) for _ in range(1000)]
    found = costs.of_many(drawn)
    for i, decisions in enumerate(drawn):
        cost = cost_of(population.graph(decisions))
        assert [found[name][i] for name in COUNTS] == [cost.params, cost.macs, cost.weight_bytes]


def test_every_cost_of_a_population_is_that_of_its_networks(space, table) -> None:
    setting, rng = CostSetting(table, "int8"), np.random.default_rng(1)
    population = Population(space, SIZE_HW, 5, rng)
    models = [kind.make(setting) for kind in cost_kinds(setting)]
    assert {model.name for model in models} == {*COUNTS, "peak_activation_bytes", "latency_ms"}
    drawn = [random_decisions(space, rng) for _ in range(20)]
    found = PopulationCosts(models, population).of_many(drawn)
    for model in models:
        expected = [model.of(population.graph(decisions)) for decisions in drawn]
        np.testing.assert_allclose(found[model.name], expected, rtol=1e-12, err_msg=model.name)


def test_a_population_is_learned_once(space, table, monkeypatch) -> None:
    from hwnas.latency import population as module

    learned = []
    monkeypatch.setattr(module, "factorise", lambda *args, **limits: learned.append(1) or _factorise(*args, **limits))
    _factorise = __import__("hwnas.latency.factor", fromlist=["factorise"]).factorise
    setting = CostSetting(table)
    PopulationCosts(
        [kind.make(setting) for kind in cost_kinds(setting)], Population(space, SIZE_HW, 5, np.random.default_rng(0))
    )
    assert len(learned) == 1


def test_one_candidate_is_priced_by_name_for_a_search(space, table) -> None:
    population = Population(space, SIZE_HW, 5, np.random.default_rng(0))
    decisions = random_decisions(space, np.random.default_rng(3))
    costs = PopulationCosts([cost_model(name, CostSetting(table)) for name in ("latency_ms", "macs")], population)
    graph = population.graph(decisions)
    priced = costs.of(decisions)
    assert priced == {
        "latency_ms": pytest.approx(TableModel(table).predict(graph).latency_ms),
        "macs": cost_of(graph).macs,
    }


@pytest.mark.parametrize(("precision", "bytes_per_value"), [("fp32", 4), ("bf16", 2), ("int8", 1)])
def test_bytes_are_of_the_precision(space, precision, bytes_per_value) -> None:
    graph = Population(space, SIZE_HW, 5, np.random.default_rng(0)).graph(
        random_decisions(space, np.random.default_rng(3))
    )
    setting, exact = CostSetting(precision=precision), cost_of(graph, bytes_per_value=bytes_per_value)
    assert cost_model("weight_bytes", setting).of(graph) == exact.weight_bytes
    assert cost_model("peak_activation_bytes", setting).of(graph) == exact.peak_activation_bytes


def test_latency_without_a_table_says_what_is_missing() -> None:
    with pytest.raises(HwnasError, match="latency_ms needs a latency table"):
        cost_model("latency_ms", CostSetting())
    assert "latency_ms" not in {kind.name for kind in cost_kinds(CostSetting())}


def test_an_unknown_cost_or_precision_is_told() -> None:
    with pytest.raises(HwnasError, match="unknown cost 'mac'"):
        cost_model("mac", CostSetting())
    with pytest.raises(HwnasError, match="fp7"):
        cost_model("weight_bytes", CostSetting(precision="fp7"))


def test_a_cost_is_registered_under_its_name() -> None:
    for name in COSTS.names():
        assert COSTS.get(name).name == name


def test_costs_need_no_torch() -> None:
    code = "import sys; from hwnas.latency.costs.base import COSTS; COSTS.names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
