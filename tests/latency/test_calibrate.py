"""Fitting: made-up networks of which it is known what each node takes."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.latency.calibrate import Example, fit
from hwnas.latency.context import LEAST_SHARE, MOST_SHARE, kind_of, own_ms
from hwnas.latency.contract import TimingContract
from hwnas.latency.features import key_size
from hwnas.latency.keys import keys_of
from hwnas.latency.model import TableModel, example_of
from hwnas.latency.table import Calibration, Entry, LatencyTable
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES

SIZE, CLASSES = (180, 240), 11
SPACE = SPACES.get("realtime")
REORDER = 0.04
"""What an op alone pays for its layout, ms a MB of inputs and output; in a net it does not."""
SHARES = {"separable": 0.7, "pointwise": 0.9}
"""Of an op's own work in a net: these find their inputs in the cache."""


def work(key):
    return 0.004 + key_size(key).macs / 4e7


def alone_ms(key):
    size = key_size(key)
    return work(key) + REORDER * (size.input_bytes + size.output_bytes) / 1e6


def true_ms(key):
    """What a node takes in a net."""
    return SHARES.get(kind_of(key.op), 1.0) * work(key)


class World:
    """Random networks with their true latencies, measured with a relative ``noise``; some are ``disturbed`` by half."""

    def __init__(self, nets, noise=0.01, disturbed=0, seed=0):
        rng = np.random.default_rng(seed)
        self.graphs = [expand(SPACE.decode(SPACE.sample(rng)).genotype, (3, *SIZE), CLASSES) for _ in range(nets)]
        self.entries = {key.text: Entry(alone_ms(key)) for graph in self.graphs for key in keys_of(graph).values()}
        self.truth = [sum(true_ms(key) for key in keys_of(graph).values()) for graph in self.graphs]
        factors = 1 + noise * rng.standard_normal(nets)
        factors[:disturbed] += 0.5
        self.measured = factors * self.truth

    def model(self, calibration=None):
        contract = TimingContract("Some CPU", 2, "onnxruntime", "1.31.1", "fp32", 1, SIZE)
        return TableModel(LatencyTable(contract, self.entries, calibration or Calibration()))

    def fitted(self, nets):
        """The model calibrated on the first ``nets``."""
        naive = self.model()
        pairs = list(zip(self.graphs, self.measured, strict=True))[:nets]
        found = fit([example_of(naive, graph, float(ms)) for graph, ms in pairs])
        return self.model(Calibration(found.weights, residuals=found.residuals))

    def errors(self, model, first):
        """Relative errors of the totals, of the networks from ``first`` on, against the truth."""
        pairs = list(zip(self.graphs, self.truth, strict=True))[first:]
        return np.array([model.predict(graph).latency_ms / ms - 1 for graph, ms in pairs])


@pytest.fixture(scope="module")
def world():
    return World(96)


@pytest.fixture(scope="module")
def model(world):
    return world.fitted(64)


def test_unseen_nets_are_met(world, model):
    naive = np.abs(world.errors(world.model(), 64)).mean()
    assert naive > 0.05 and np.abs(world.errors(model, 64)).mean() < 0.01


def test_breakdown_by_op_is_the_truth(world, model):
    """The time of each op over unseen nets, for those that take a hundredth or more of it."""
    found, true = {}, {}
    for graph in world.graphs[64:]:
        keys = keys_of(graph)
        for node in model.predict(graph).nodes:
            found[node.op] = found.get(node.op, 0.0) + node.latency_ms
            true[node.op] = true.get(node.op, 0.0) + true_ms(keys[node.name])
    total = sum(true.values())
    for op, ms in true.items():
        if ms > 0.01 * total:
            assert found[op] == pytest.approx(ms, rel=0.1), op


def test_breakdown_by_node_is_near_the_truth(world, model):
    """Of nodes that take a hundredth or more of their net: nearly all within a fifth, the stem too."""
    ratios, stems = [], []
    for graph, total in zip(world.graphs[64:], world.truth[64:], strict=True):
        keys = keys_of(graph)
        for node in model.predict(graph).nodes:
            true = true_ms(keys[node.name])
            if true > 0.01 * total:
                ratios.append(node.latency_ms / true)
            if node.name.startswith("stem"):
                stems.append(node.latency_ms / true)
    assert np.quantile(np.abs(np.log(ratios)), 0.95) < 0.2
    assert stems and np.abs(np.log(stems)).max() < 0.3


def test_no_node_leaves_its_bounds(world, model):
    weights = {f"family:{kind}": share for kind, share in (("conv", -3.0), ("separable", 4.0))}
    for graph in world.graphs[:3]:
        for key in keys_of(graph).values():
            for terms in (model.table.calibration.weights, weights):
                share = own_ms(key, alone_ms(key), terms) / alone_ms(key)
                assert LEAST_SHARE - 1e-9 <= share <= MOST_SHARE + 1e-9


def test_disturbed_nets_count_little(world, model):
    disturbed = World(96, disturbed=6).fitted(64)
    assert np.abs(world.errors(disturbed, 64)).mean() < 0.02


def test_few_nets_stay_near_the_plain_sum(world):
    """One net says that all is slower or faster, at most."""
    one = world.fitted(1)
    plain = world.model()
    ratios = [one.predict(graph).latency_ms / plain.predict(graph).latency_ms for graph in world.graphs[:20]]
    assert min(ratios) > 0.7 and max(ratios) < 1.2


def test_leave_one_out_residuals_are_those_of_refitting():
    """By the noise that was put in: a fit that has seen a net would be nearer to it."""
    residuals = np.array(World(40, noise=0.05, seed=3).fitted(40).table.calibration.residuals)
    assert len(residuals) == 40 and 0.035 < residuals.std() < 0.08


def test_what_only_costs_is_never_negative(world):
    naive = world.model()
    found = fit([example_of(naive, graph, float(ms)) for graph, ms in zip(world.graphs, world.measured, strict=True)])
    signs = {"node": -1, "bytes": -1, "edge": 1, "net": 1}
    for name, weight in found.weights.items():
        assert weight * signs.get(name.split(":")[0], 0) >= 0, name


def test_examples_carry_what_was_measured(world):
    example = example_of(world.model(), world.graphs[0], 3.0)
    assert isinstance(example, Example) and example.measured_ms == 3.0
    assert sum(ms for _, ms in example.nodes) == pytest.approx(world.model().predict(world.graphs[0]).latency_ms)
