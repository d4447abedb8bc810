"""``hwnas search --workers``: the same search, its candidates scored by Ray's workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Command, run
from small_world import SIZE, SPACE, folder_data

from hwnas.cli.stages.workers import Workers
from hwnas.errors import HwnasError

CORES = len(os.sched_getaffinity(0))


def refused(ended: Command, *texts: str) -> None:
    assert ended.code == 2, ended.document
    said = ended.document["error"] + ended.document["hint"]
    assert all(text in said for text in texts), said


def words(table: Path, data: str, place: Path, *more: object) -> list[object]:
    given = ["search", "--data", data, "--size", SIZE, "--space", SPACE, "--budget", "100ms", "--minutes", "0.4"]
    return [*given, "--table", table, "--run", place, *more]


def test_two_workers_score_slices(small_table: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    if CORES < 2:
        pytest.skip("there is one core here, and two workers need two")
    ended = run(*words(small_table, folder_data(tmp_path / "data"), tmp_path / "run", "--workers", 2))
    assert ended.code == 0, ended.document
    assert ended.document["evaluations"] > 0
    assert 0 < ended.document["slice_miou"] <= 1


def test_error_on_workers_without_ray(small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    data = folder_data(tmp_path / "data")
    refused(run(*words(small_table, data, tmp_path / "run", "--workers", 2)), "ray", "hwnas[ray]")
    assert not (tmp_path / "run").exists()


def test_error_on_more_workers_than_cores(small_table: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    data = folder_data(tmp_path / "data")
    refused(run(*words(small_table, data, tmp_path / "run", "--workers", CORES + 1)), "do not fit", "--workers")
    assert not (tmp_path / "run").exists()


def test_cores_are_shared_out_among_workers() -> None:
    assert Workers(1).placement.threads == CORES
    assert Workers(CORES).placement.threads == 1
    assert Workers(None, "head:6379").placement.cpus == 1
    assert Workers(None, "head:6379", cpus=4).placement.threads == 4
    assert not Workers(1).remote
    assert Workers(1, "head:6379").remote and Workers(2).remote
    with pytest.raises(HwnasError):
        Workers(1000, None, 1).check()
