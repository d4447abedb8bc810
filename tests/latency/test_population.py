"""Populations and distributions: equal to predicting every expanded genotype, and to their mean."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
import torch

from hwnas.errors import HwnasError, TableError
from hwnas.latency.contract import TimingContract
from hwnas.latency.features import key_size
from hwnas.latency.model import TableModel
from hwnas.latency.population import PopulationModel
from hwnas.latency.table import Calibration, LatencyTable
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import canonical, random_decisions

SIZE, CLASSES = (384, 512), 5
CONTRACT = TimingContract("Some CPU", 2, "onnxruntime", "1.31.1", "fp32", 1, SIZE)
WEIGHTS = {"net:": 0.2, "family:conv": -0.1, "op:conv_1x1": 0.3, "edge:pointwise>add": 0.07, "edge:input>conv": 0.4}


class MadeUp(TableModel):
    """Every kernel has a time but those of the op ``without``; with in-context terms."""

    def __init__(self, without=""):
        super().__init__(LatencyTable(CONTRACT, {}, Calibration(WEIGHTS)))
        self.without = without

    def alone(self, key):
        if key.op == self.without:
            raise TableError(f"no entry for {key.text}")
        size = key_size(key)
        return 0.02 + size.macs / 3e7 + size.output_bytes / 1e7, "measured"


def compiled(space, without=""):
    model = MadeUp(without)
    return model, PopulationModel(model, space, SIZE, CLASSES, np.random.default_rng(0))


@functools.cache
def compiled_once(name):
    return SPACES.get(name), *compiled(SPACES.get(name))


def single(model, space, decisions):
    return model.predict(expand(space.decode(decisions).genotype, (3, *SIZE), CLASSES)).latency_ms


def complete(space, indices):
    """Decisions with an option for every choice, active or not."""
    return {choice.name: choice.options[i] for choice, i in zip(space.choices, indices, strict=True)}


def random_probabilities(space, rng, sharpness=1.0):
    """Probabilities of every choice; the sharper, the nearer to certainty."""
    logits = [sharpness * torch.from_numpy(rng.normal(size=len(choice.options))) for choice in space.choices]
    return {choice.name: values.softmax(0) for choice, values in zip(space.choices, logits, strict=True)}


def drawn(space, probabilities, rng, count):
    """Decisions with every choice drawn from its probabilities, independently; each option as often as is its share."""
    columns = []
    for choice in space.choices:
        places = rng.permutation((np.arange(count) + rng.random()) / count)
        edges = np.cumsum(probabilities[choice.name].numpy())[:-1]
        columns.append(np.searchsorted(edges, places))
    return [canonical(space, complete(space, row)) for row in zip(*columns, strict=True)]


@pytest.fixture(scope="module")
def realtime():
    return compiled_once("realtime")


@pytest.mark.parametrize("name", ["realtime", "mbconv"])
def test_equal_to_predicting_each(name):
    """Other spaces take longer: `benchmarks/pricing.py --space NAME --check 1000`."""
    space, model, population = compiled_once(name)
    rng = np.random.default_rng(1)
    decisions = [space.sample(rng) for _ in range(500)] + [random_decisions(space, rng) for _ in range(500)]
    each = [single(model, space, item) for item in decisions]
    assert np.abs(population.predict_many(decisions) - each).max() < 1e-9


def test_expectation_is_the_sum_over_all_genotypes(space):
    """In a space so small that all settings can be listed, conditions between choices included."""
    model, population = compiled(space)
    probabilities = random_probabilities(space, np.random.default_rng(2))
    total = 0.0
    for indices in itertools.product(*(range(len(choice.options)) for choice in space.choices)):
        chances = [float(probabilities[choice.name][i]) for choice, i in zip(space.choices, indices, strict=True)]
        total += math.prod(chances) * single(model, space, canonical(space, complete(space, indices)))
    assert float(population.expected_ms(probabilities)) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(("seed", "sharpness"), [(0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0)])
def test_expectation_is_the_mean_of_sampled_genotypes(realtime, seed, sharpness):
    """Within 1%, or within three standard errors of 10,000 draws where those are not as sure as that."""
    space, _, population = realtime
    rng = np.random.default_rng(seed)
    probabilities = random_probabilities(space, rng, sharpness)
    sampled = population.predict_many(drawn(space, probabilities, rng, 10_000))
    tolerance = max(0.01 * sampled.mean(), 3 * sampled.std() / 100)
    assert float(population.expected_ms(probabilities)) == pytest.approx(sampled.mean(), abs=tolerance)


def test_certainty_is_the_prediction_of_that_genotype(realtime):
    space, model, population = realtime
    rng = np.random.default_rng(4)
    for _ in range(20):
        indices = [int(rng.integers(len(choice.options))) for choice in space.choices]
        certain = {
            choice.name: torch.eye(len(choice.options), dtype=torch.float64)[i]
            for choice, i in zip(space.choices, indices, strict=True)
        }
        expected = single(model, space, canonical(space, complete(space, indices)))
        assert float(population.expected_ms(certain)) == pytest.approx(expected, abs=1e-9)


def test_gradient_is_that_of_finite_differences(realtime):
    """By every probability; latency is linear in each, so differences are exact but for rounding."""
    space, _, population = realtime
    probabilities = random_probabilities(space, np.random.default_rng(5))
    vectors = {name: vector.clone().requires_grad_() for name, vector in probabilities.items()}
    population.expected_ms(vectors).backward()
    step = 0.1
    for name, vector in probabilities.items():
        for option in range(len(vector)):
            there = {**probabilities, name: vector + step * torch.eye(len(vector), dtype=vector.dtype)[option]}
            back = {**probabilities, name: vector - step * torch.eye(len(vector), dtype=vector.dtype)[option]}
            slope = float(population.expected_ms(there) - population.expected_ms(back)) / (2 * step)
            assert float(vectors[name].grad[option]) == pytest.approx(slope, rel=1e-9, abs=1e-9)


def test_expectation_in_single_precision_keeps_the_dtype(realtime):
    space, _, population = realtime
    probabilities = random_probabilities(space, np.random.default_rng(6))
    single_precision = population.expected_ms({name: vector.float() for name, vector in probabilities.items()})
    assert single_precision.dtype == torch.float32 and single_precision.shape == ()
    assert float(single_precision) == pytest.approx(float(population.expected_ms(probabilities)), rel=1e-5)


def test_errors_name_the_choice(realtime):
    space, _, population = realtime
    probabilities = random_probabilities(space, np.random.default_rng(7))
    with pytest.raises(HwnasError, match=r"stem\.width"):
        population.expected_ms({name: vector for name, vector in probabilities.items() if name != "stem.width"})
    with pytest.raises(HwnasError, match="4 options"):
        population.expected_ms({**probabilities, "stem.width": torch.ones(3, dtype=torch.float64) / 3})


def test_decisions_may_lack_what_is_not_active_and_nothing_else(space, rng):
    model, population = compiled(space)
    shallow = {**space.sample(rng), "depth": 1}
    shallow.pop("block2", None)
    assert population.predict_many([shallow])[0] == pytest.approx(single(model, space, shallow), abs=1e-9)
    with pytest.raises(KeyError, match="depth"):
        population.predict_many([{name: option for name, option in shallow.items() if name != "depth"}])


def test_what_cannot_be_priced_is_refused_only_where_it_is_needed(space, rng):
    _, population = compiled(space, without="basic_block")
    shallow = {**space.sample(rng), "depth": 1}
    assert np.isfinite(population.predict_many([shallow])).all()
    with pytest.raises(TableError, match="basic_block"):
        population.predict_many([shallow, {**shallow, "depth": 2, "block2": "basic_block"}])
    with pytest.raises(TableError, match="basic_block"):
        population.expected_ms(random_probabilities(space, rng))
