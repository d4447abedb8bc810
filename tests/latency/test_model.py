"""Predictions from a made-up table: sums, breakdown, interval, whole populations."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.errors import TableError
from hwnas.latency.contract import TimingContract
from hwnas.latency.features import key_size
from hwnas.latency.keys import keys_of
from hwnas.latency.model import TableModel, residual_bounds
from hwnas.latency.plan import plan
from hwnas.latency.table import Calibration, Entry, LatencyTable
from hwnas.skeletons.base import expand

SIZE, CLASSES = (64, 96), 5
CONTRACT = TimingContract("Some CPU", 2, "onnxruntime", "1.31.1", "fp32", 1, SIZE)
WEIGHTS = {
    "net:": 0.2,
    "family:conv": -0.1,
    "op:conv_1x1": 0.3,
    "node:separable": 0.01,
    "out:resize_bilinear": 0.05,
    "edge:conv>pointwise": -0.02,
    "edge:pointwise>add": 0.07,
    "edge:input>conv": 0.4,
}


def priced(key):
    size = key_size(key)
    return 0.02 + size.macs / 3e7 + size.output_bytes / 1e7


@pytest.fixture
def table(space, rng):
    keys = plan(space, SIZE, CLASSES, rng, calibration_nets=1, holdout_nets=0).keys
    entries = {key.text: Entry(priced(key)) for key in keys}
    residuals = tuple(np.linspace(-0.05, 0.03, 41))
    return LatencyTable(CONTRACT, entries, Calibration(WEIGHTS, residuals=residuals), percentiles={"p90": 1.1})


def graph_of(space, decisions):
    return expand(space.decode(decisions).genotype, (3, *SIZE), CLASSES)


def test_without_terms_the_prediction_is_the_plain_sum(space, rng, table):
    graph = graph_of(space, space.sample(rng))
    plain = TableModel(LatencyTable(CONTRACT, table.entries))
    prediction = plain.predict(graph)
    assert prediction.latency_ms == pytest.approx(sum(priced(key) for key in keys_of(graph).values()))
    assert prediction.overhead_ms == 0.0


def test_nodes_and_overhead_add_up(space, rng, table):
    prediction = TableModel(table).predict(graph_of(space, space.sample(rng)))
    assert sum(node.latency_ms for node in prediction.nodes) + 0.2 == pytest.approx(prediction.latency_ms)
    assert all(node.latency_ms > 0 and node.source == "measured" for node in prediction.nodes)


def test_interval_holds_its_share(space, rng, table):
    model = TableModel(table)
    low, high = model.predict(graph_of(space, space.sample(rng))).interval_ms
    middle = model.predict(graph_of(space, space.sample(rng))).latency_ms
    assert low < high and middle > 0
    below, above = residual_bounds(table.calibration.residuals, 0.9)
    assert below == pytest.approx(-0.05 + 0.002) and above == pytest.approx(0.03 - 0.002)


def test_few_residuals_widen_the_interval():
    assert residual_bounds((), 0.9) == (-0.25, 0.25)
    low, high = residual_bounds((-0.02, 0.01, 0.04), 0.9)
    assert low == pytest.approx(-0.03) and high == pytest.approx(0.06)


def test_percentiles_by_their_ratio(table):
    model = TableModel(table)
    assert model.at_percentile(10.0, "p50") == 10.0
    assert model.at_percentile(10.0, "p90") == pytest.approx(11.0)
    with pytest.raises(TableError, match="p99"):
        model.at_percentile(10.0, "p99")


def test_missing_keys_are_interpolated_and_marked(space, rng, table):
    decisions = {**space.sample(rng), "width2": 32, "stem": 8, "width1": 16, "block1": "conv_3x3"}
    graph = graph_of(space, decisions)
    missing = keys_of(graph)["stage2/block1"].text
    holed = LatencyTable(CONTRACT, {text: e for text, e in table.entries.items() if text != missing})
    nodes = {node.name: node for node in TableModel(holed).predict(graph).nodes}
    assert nodes["stage2/block1"].source == "interpolated"
    assert nodes["stage2/block1"].latency_ms == pytest.approx(table.entries[missing].ms, rel=0.3)


def test_error_names_the_node_that_cannot_be_priced(space, rng, table):
    holed = LatencyTable(CONTRACT, {text: e for text, e in table.entries.items() if not text.startswith("seg_head")})
    with pytest.raises(TableError, match="'classifier'") as caught:
        TableModel(holed).predict(graph_of(space, space.sample(rng)))
    assert "hwnas profile --missing" in caught.value.hint
