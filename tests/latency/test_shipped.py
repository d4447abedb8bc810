"""Shipped tables by name, wherever a table's path is taken."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwnas.errors import TableError
from hwnas.latency.model import TableModel
from hwnas.latency.shipped import shipped_names, table_path
from hwnas.latency.table import load_table
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES

NAME = "gtx1080ti-tensorrt5.1-fp32"


TABLES = {name: load_table(name) for name in shipped_names()}
MEASURED = [name for name, table in TABLES.items() if "imported" not in table.provenance]
"""Those that ``benchmarks/ship_tables.py`` made."""
SETTINGS = set(itertools.product(("onnxruntime", "openvino"), ("fp32", "int8"), (1, 2)))


@pytest.mark.parametrize("name", TABLES)
def test_every_shipped_table_loads_and_says_where_it_comes_from(name):
    table = TABLES[name]
    assert table.entries and table.contract.device and table.provenance["source"]
    assert table.contract.engine in name and table.contract.precision in name


@pytest.mark.parametrize("name", MEASURED)
def test_every_measured_table_is_whole_and_judged_on_nets_that_it_has_not_seen(name):
    table = TABLES[name]
    contract, kernels, nets = table.contract, table.coverage["kernels"], table.coverage["nets"]
    assert kernels[0] == len(table.entries) and kernels[0] + len(table.failures) >= kernels[1]
    assert nets[0] >= 0.9 * nets[1] and table.calibration.nets >= 48
    assert table.accuracy["calibrated"].nets == table.accuracy["naive"].nets >= 24
    assert len(table.calibration.residuals) == table.calibration.nets + table.accuracy["calibrated"].nets
    assert contract.runs > 0 and contract.reference_ms > 0 and contract.date and contract.estimator
    assert contract.clock == ("cpu" if contract.threads == 1 else "wall")
    assert {"source", "hwnas", "system", "python", "numpy", "bundle", "estimators"} <= set(table.provenance)
    assert name.endswith(f"-t{contract.threads}") and f"{contract.engine}{contract.engine_version}" in name


@pytest.mark.parametrize("name", MEASURED)
def test_every_measured_table_prices_any_network_of_its_space(name):
    table = TABLES[name]
    space, rng = SPACES.get(table.provenance["space"]), np.random.default_rng(5)
    model = TableModel(table)
    for _ in range(8):
        graph = expand(
            space.decode(space.sample(rng)).genotype, (3, *table.contract.size_hw), table.provenance["classes"]
        )
        predicted = model.predict(graph)
        low, high = predicted.interval_ms
        assert 0 < low < high < 10_000 and predicted.latency_ms > 0
        assert all(node.latency_ms >= 0 for node in predicted.nodes)


def test_measured_tables_of_a_device_are_of_all_settings():
    settings: dict[str, set[tuple[str, str, int]]] = {}
    for name in MEASURED:
        contract = TABLES[name].contract
        settings.setdefault(contract.device, set()).add((contract.engine, contract.precision, contract.threads))
    assert all(found == SETTINGS for found in settings.values())


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert table_path(NAME).is_absolute()
    (tmp_path / NAME).write_text("mine")
    assert table_path(NAME).read_text() == "mine"


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(TableError, match="gtx1080ti-fp32") as error:
        load_table("gtx1080ti-fp32")
    assert f"did you mean {NAME}" in error.value.hint


def test_what_nothing_is_near_to_lists_all():
    with pytest.raises(TableError) as error:
        table_path("zzz")
    assert NAME in error.value.hint


@pytest.mark.parametrize("path", ["none.json", "folder/gtx1080ti-tensorrt5.1-fp32"])
def test_a_path_is_not_taken_for_a_name(path, tmp_path):
    with pytest.raises(TableError, match="there is no latency table") as error:
        table_path(tmp_path / path)
    assert "check the path" in error.value.hint
