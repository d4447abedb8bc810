"""Populations of spaces that do not factor: equal to predicting each, remembered, repriced, refused."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.errors import TableError
from hwnas.latency import one_by_one
from hwnas.latency.contract import TimingContract
from hwnas.latency.features import key_size
from hwnas.latency.model import TableModel
from hwnas.latency.one_by_one import OneByOne, compiled
from hwnas.latency.population import PopulationModel
from hwnas.latency.table import Calibration, LatencyTable
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import random_decisions

SIZE, CLASSES = (64, 96), 5
CONTRACT = TimingContract("Some CPU", 2, "onnxruntime", "1.31.1", "fp32", 1, SIZE)
WEIGHTS = {"net:": 0.2, "family:conv": -0.1, "op:conv_1x1": 0.3, "edge:pointwise>add": 0.07, "edge:input>conv": 0.4}


class MadeUp(TableModel):
    """Every kernel has a time but those of the op ``without``; counts what it is asked for."""

    def __init__(self, without="", per_mac=1 / 3e7):
        super().__init__(LatencyTable(CONTRACT, {}, Calibration(WEIGHTS)))
        self.without, self.per_mac, self.asked = without, per_mac, 0

    def alone(self, key):
        self.asked += 1
        if key.op == self.without:
            raise TableError(f"no entry for {key.text}")
        return 0.02 + key_size(key).macs * self.per_mac, "measured"


def single(model, space, decisions):
    return model.predict(expand(space.decode(decisions).genotype, (3, *SIZE), CLASSES)).latency_ms


@pytest.fixture(scope="module")
def paths():
    return SPACES.get("auto-deeplab-small")


@pytest.fixture(scope="module")
def drawn(paths):
    rng = np.random.default_rng(1)
    return [paths.sample(rng) for _ in range(4)] + [random_decisions(paths, rng) for _ in range(4)]


@pytest.fixture(scope="module")
def population(paths, drawn):
    made = OneByOne(MadeUp(), paths, SIZE, CLASSES)
    made.predict_many(drawn)
    return made


def test_equal_to_predicting_each(paths, drawn, population):
    each = [single(MadeUp(), paths, item) for item in drawn]
    assert np.abs(population.predict_many(drawn) - each).max() < 1e-9


def test_another_pricing_expands_nothing_again(paths, drawn, population, monkeypatch):
    other = MadeUp(per_mac=1e-6)
    each = [single(other, paths, item) for item in drawn]
    monkeypatch.setattr(one_by_one, "expand", None)
    assert np.abs(population.repriced(other).predict_many(drawn) - each).max() < 1e-9
    asked = other.asked
    assert population.predict_many(drawn[:3]).shape == (3,) and other.asked == asked


def test_a_genotype_met_by_one_pricing_is_known_to_the_other(paths, population):
    twin = population.repriced(MadeUp(per_mac=1e-6))
    new = paths.sample(np.random.default_rng(9))
    expected = single(MadeUp(), paths, new), single(MadeUp(per_mac=1e-6), paths, new)
    assert (population.predict_many([new])[0], twin.predict_many([new])[0]) == pytest.approx(expected, abs=1e-9)


def test_what_has_no_price_is_named_or_marked(drawn, population):
    lacking = population.repriced(MadeUp(without="conv_1x1"))
    with pytest.raises(TableError, match="no entry for conv_1x1"):
        lacking.predict_many(drawn)
    assert np.isinf(lacking.predict_many(drawn, unpriced=float("inf"))).all()


def test_only_so_many_are_remembered(paths, drawn, monkeypatch):
    monkeypatch.setattr(one_by_one, "REMEMBERED", 3)
    few = OneByOne(MadeUp(), paths, SIZE, CLASSES)
    assert few.predict_many(drawn[:5]).shape == (5,) and len(few._parts) == 3


def test_tabulated_where_that_can_be_done(space, paths, rng):
    assert isinstance(compiled(MadeUp(), space, SIZE, CLASSES, rng), PopulationModel)
    found = compiled(MadeUp(), paths, SIZE, CLASSES, rng)
    assert isinstance(found, OneByOne) and found.predict_many([]).shape == (0,)
