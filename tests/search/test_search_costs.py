"""What candidates cost before they are trained: on several devices at once, and where a table has no price."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))

from small_world import SIZE_HW, SmallWorld, synthetic_table

from hwnas.compiler.cost import cost_of
from hwnas.errors import HwnasError
from hwnas.latency.model import TableModel
from hwnas.latency.table import LatencyTable
from hwnas.search.costs import SearchCosts, latency_names
from hwnas.skeletons.base import expand
from hwnas.spaces.decisions import canonical

SPACE = SmallWorld()


def slower(table: LatencyTable) -> LatencyTable:
    entries = {key: replace(entry, ms=2 * entry.ms) for key, entry in table.entries.items()}
    return replace(table, entries=entries)


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    return synthetic_table(2)


def priced(tables: dict[str, TableModel], *needed: str) -> SearchCosts:
    return SearchCosts(SPACE, SIZE_HW, 2, tables, np.random.default_rng(0), needed)


def drawn(count: int) -> list[dict]:
    rng = np.random.default_rng(1)
    return [canonical(SPACE, SPACE.sample(rng)) for _ in range(count)]


def test_every_cost_is_that_of_the_network_on_every_device(table: LatencyTable) -> None:
    models = {"here": TableModel(table), "phone": TableModel(slower(table))}
    costs = priced(models, "miou", "latency_ms@phone", "peak_activation_bytes")
    assert set(costs.names) == {"latency_ms", "latency_ms@phone", "params", "macs", "peak_activation_bytes"}
    many = costs.of_many(drawn(6))
    for index, decisions in enumerate(drawn(6)):
        graph = expand(SPACE.decode(decisions).genotype, (3, *SIZE_HW), 2)
        exact = cost_of(graph)
        found = costs.of(decisions)
        assert found == pytest.approx({name: values[index] for name, values in many.items()})
        assert found["latency_ms"] == pytest.approx(models["here"].predict(graph).latency_ms)
        assert found["latency_ms@phone"] == pytest.approx(models["phone"].predict(graph).latency_ms)
        assert found["params"] == exact.params and found["macs"] == exact.macs
        assert found["peak_activation_bytes"] == exact.peak_activation_bytes


def test_what_a_table_cannot_price_is_over_every_limit(table: LatencyTable) -> None:
    entries = {key: entry for key, entry in table.entries.items() if "basic_block" not in key}
    costs = priced({"here": TableModel(replace(table, entries=entries))})
    with_block = {**drawn(1)[0], "depth": 2, "block2": "basic_block"}
    without = {**with_block, "block2": "conv_3x3"}
    assert costs.of_many([without, with_block], ("latency_ms",))["latency_ms"].tolist() == [
        pytest.approx(costs.of(without)["latency_ms"]),
        np.inf,
    ]
    assert costs.of(with_block)["params"] > 0
    why = costs.why_unpriced(with_block)
    assert why is not None and "basic_block" in why.message
    assert costs.why_unpriced(without) is None


def test_a_device_without_a_table_is_told(table: LatencyTable) -> None:
    with pytest.raises(HwnasError, match="latency_ms@tv cannot be told"):
        priced({"here": TableModel(table)}, "latency_ms@tv")


def test_latencies_are_named_by_table() -> None:
    assert latency_names(["table", "phone"]) == {"latency_ms": "table", "latency_ms@phone": "phone"}
