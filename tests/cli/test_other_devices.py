"""Tables of another device: refused, unless they are forced, and what then is timed here and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from small_world import SIZE, SPACE, folder_data

from hwnas.latency.table import load_table, save_table


@pytest.fixture
def phone(small_table: Path, tmp_path: Path) -> Path:
    """The small world's table, as a phone in eight bits would have made it."""
    table = load_table(small_table)
    contract = replace(table.contract, device="a phone", engine="tflite", precision="int8", threads=4)
    save_table(replace(table, contract=contract), tmp_path / "phone.json")
    return tmp_path / "phone.json"


def words(verb: str, tmp_path: Path, table: Path) -> list[str]:
    data = folder_data(tmp_path / "data")
    settings = ["--data", data, "--size", SIZE, "--space", SPACE, "--budget", "100ms", "--minutes", "0.1"]
    return [verb, *settings, "--table", str(table), "--run", str(tmp_path / "run")]


def test_a_search_for_another_device_times_nothing_here(
    phone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(*arguments: object, **settings: object) -> None:
        raise AssertionError("timed here")

    monkeypatch.setattr("hwnas.cli.stages.exporting.time_untrained", timed)
    search = words("search", tmp_path, phone)
    refused = run(*search)
    assert refused.code == 2 and "device: a phone in the table" in refused.document["error"]
    assert refused.document["hint"].endswith("--force")

    done = run(*search, "--force")
    assert done.code == 0, done.said
    assert done.document["measured_ms"] is None and 0 < done.document["latency_ms"] <= 100


@pytest.mark.parametrize("verb", ["predict", "cost", "sample"])
def test_a_table_of_another_size_is_taken_if_it_is_forced(verb: str, small_table: Path, tmp_path: Path) -> None:
    table = load_table(small_table)
    save_table(replace(table, contract=replace(table.contract, size_hw=(48, 48))), tmp_path / "square.json")
    asked = ["--size", SIZE, "--classes", "2", "--table", str(tmp_path / "square.json")]
    if verb == "sample":
        asked += ["--space", SPACE, "--limit", "latency_ms=50", "-o", str(tmp_path / "nets")]
    else:
        asked += run("sample", "--space", SPACE, "-o", tmp_path / "one").document["genotypes"]
    refused = run(verb, *asked)
    assert refused.code == 2 and "size_hw" in refused.document["error"] and "--force" in refused.document["hint"]
    assert run(verb, *asked, "--force").code == 0
