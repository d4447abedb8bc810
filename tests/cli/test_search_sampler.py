"""A search whose supernet is trained on chosen paths, and which starts from the pool that they left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run
from small_world import SIZE, SPACE, SmallWorld, folder_data

from hwnas.spaces.decisions import canonical


def words(tmp_path: Path, table: Path, *more: str) -> list[str]:
    data = folder_data(tmp_path / "data")
    settings = ["--data", data, "--size", SIZE, "--space", SPACE, "--budget", "100ms", "--minutes", "0.1"]
    return ["search", *settings, "--table", str(table), "--run", str(tmp_path / "run"), *more]


def test_greedynas_from_the_supernet_to_the_network(small_table: Path, tmp_path: Path) -> None:
    done = run(*words(tmp_path, small_table, "--sampler", "greedynas", "--strategy", "greedynas"))
    assert done.code == 0, done.said
    document = done.document
    assert document["sampler"] == "greedynas" and document["judged_paths"] > 0 and document["settled"] in (True, False)
    pool = json.loads((tmp_path / "run" / "pool.json").read_text())["pool"]
    losses = [each["loss"] for each in pool]
    assert pool and losses == sorted(losses)
    for each in pool:
        assert canonical(SmallWorld(), each["decisions"]) == each["decisions"]
    assert not (tmp_path / "run" / "finals").exists()
    assert document["finals_steps"] > 0


@pytest.mark.parametrize("strategy", ["greedynas", "pcnas"])
def test_a_strategy_that_needs_a_pool_is_refused_without_one(strategy: str, small_table: Path, tmp_path: Path) -> None:
    refused = run(*words(tmp_path, small_table, "--strategy", strategy))
    assert refused.code == 2
    assert "starts from a pool" in refused.document["error"] and "--sampler" in refused.document["hint"]
    assert not (tmp_path / "run").exists()


def test_an_unknown_sampler_offers_the_nearest(small_table: Path, tmp_path: Path) -> None:
    refused = run(*words(tmp_path, small_table, "--sampler", "greedy-nas"))
    assert refused.code == 2 and "greedynas" in refused.document["hint"]
