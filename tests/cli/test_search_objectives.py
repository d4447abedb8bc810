"""Searches for more than mIoU under one budget: several devices, limits, fronts; and what of that is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from small_world import SIZE, SPACE, folder_data

from hwnas.cli.objectives import join_limits, objective_of, table_names
from hwnas.cli.options import parse_limits
from hwnas.errors import BudgetError, HwnasError
from hwnas.latency.table import load_table, save_table
from hwnas.search.objective import Objective
from hwnas.search.scalarise import Hinge, MnasNet


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder_data(tmp_path_factory.mktemp("objectives") / "data")


@pytest.fixture
def phone(small_table: Path, tmp_path: Path) -> Path:
    """The table of another device, three times slower."""
    table = load_table(small_table)
    slower = {key: replace(entry, ms=3 * entry.ms) for key, entry in table.entries.items()}
    path = tmp_path / "phone.json"
    save_table(replace(table, contract=replace(table.contract, device="a phone"), entries=slower), path)
    return path


def words(data: str, table: Path, run_dir: Path, *more: object) -> list[object]:
    base = ["search", "--data", data, "--size", SIZE, "--space", SPACE, "--budget", "100ms", "--minutes", "0.1"]
    return [*base, "--table", table, "--run", run_dir, *more]


def test_search_of_two_devices_gives_a_front_within_all_limits(
    data: str, small_table: Path, phone: Path, tmp_path: Path
) -> None:
    more = ["--table", phone, "--limit", "latency_ms@phone=200ms", "--limit", "params=1M"]
    more += ["--objective", "miou,latency_ms@phone,params", "--strategy", "nsga2:population=4"]
    ended = run(*words(data, small_table, tmp_path / "run", *more))
    assert ended.code == 0, ended.document
    found = ended.document
    assert list(found["objective"]["metrics"]) == ["miou", "latency_ms@phone", "params"]
    assert found["front"]
    for each in found["front"]:
        values = each["values"]
        assert values["latency_ms"] <= 100 and values["latency_ms@phone"] <= 200 and values["params"] <= 1e6
        assert values["latency_ms@phone"] == pytest.approx(3 * values["latency_ms"])
        assert {"miou", "macs"} <= set(values)
    costs = found["space"]["costs"]
    assert set(costs) == {"latency_ms", "latency_ms@phone", "params", "macs"}
    assert all(cost["lowest"] <= cost["median"] <= cost["highest"] for cost in costs.values())
    assert costs["params"]["limit"] == 1e6 and costs["macs"]["limit"] is None
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["devices"] == [str(phone)]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--limit", "params=5"], "params ≤ 5: the lowest is"),
        (["--limit", "latency_ms=5"], "limited twice"),
        (["--limit", "params=1M", "--limit", "params=2M"], "params is limited twice"),
        (["--limit", "latency_ms@phone=5"], "no table says latency_ms@phone"),
        (["--limit", "beauty=5"], "no cost that can be limited"),
        (["--limit", "params=-1"], "positive number"),
        (["--objective", "beauty"], "unknown form of objective 'beauty'"),
        (["--objective", "miou,beauty"], "does not know the metric 'beauty'"),
        (["--objective", "hinge:latency_ms=0"], "not above zero"),
        (["--objective", "miou,params"], "the strategy evolution cannot search .* it maximises one number"),
        (["--strategy", "halving:eta=1"], "halving cannot run with eta 1"),
        (["--strategy", "rl:lr=1"], "the strategy rl has no option 'lr'"),
    ],
)
def test_mistakes_are_told(more: list[str], message: str, data: str, small_table: Path, tmp_path: Path) -> None:
    ended = run(*words(data, small_table, tmp_path / "run", *more))
    assert ended.code == 2
    assert re.search(message, ended.document["error"]), ended.document


def test_a_table_of_another_size_is_refused(data: str, small_table: Path, phone: Path, tmp_path: Path) -> None:
    table = load_table(phone)
    save_table(replace(table, contract=replace(table.contract, size_hw=(32, 32))), phone)
    ended = run(*words(data, small_table, tmp_path / "run", "--table", phone))
    assert ended.code == 2 and "is for 32x32, not 64x96" in ended.document["error"]
    assert not (tmp_path / "run").exists()


def test_tables_are_named() -> None:
    assert table_names(["a/phone.json", "tv=b/x.json"]) == {"phone": "a/phone.json", "tv": "b/x.json"}
    with pytest.raises(HwnasError, match="two latency tables are called 'x'"):
        table_names(["a/x.json", "b/x.json"])


def test_objectives_are_read() -> None:
    limits = {"latency_ms": 10.0}
    assert objective_of("miou", limits) == Objective("miou", limits)
    assert objective_of("miou,latency_ms,params", {}).also == ("latency_ms", "params")
    assert objective_of("params", {}).metric == "params"
    assert objective_of("mnasnet-hard", limits).form == MnasNet.hard(limits)
    assert objective_of("hinge:latency_ms=8,weight=0.5", limits).form == Hinge({"latency_ms": 8.0}, 0.5)
    with pytest.raises(HwnasError, match="is no number"):
        objective_of("hinge:weight=much", limits)


def test_limits_are_read() -> None:
    found = parse_limits(["params=1.5M", "macs=2e9", "latency_ms=8 ms", "peak_activation_bytes=2MiB"])
    assert found == {"params": 1.5e6, "macs": 2e9, "latency_ms": 8.0, "peak_activation_bytes": 2 * 2**20}
    with pytest.raises(BudgetError, match="limited twice"):
        join_limits({"latency_ms": 5.0}, {"latency_ms": 4.0})
