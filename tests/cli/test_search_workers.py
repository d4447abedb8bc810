"""Candidates that other processes score: Ray's workers, and ``hwnas worker``, which shares only the storage."""

from __future__ import annotations

import importlib.util
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import Command, promised, run
from small_world import SIZE, SIZE_HW, SPACE, folder_data

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.settings import Settings
from hwnas.cli.stages.evaluating import Workshop
from hwnas.cli.stages.workers import Work, Workers, at_work
from hwnas.errors import HwnasError
from hwnas.progress import Silent
from hwnas.search.reading import read_study
from hwnas.search.study import Study
from hwnas.spaces.base import SPACES

CORES = len(os.sched_getaffinity(0))


def refused(ended: Command, *texts: str) -> None:
    assert ended.code == 2, ended.document
    said = ended.document["error"] + ended.document["hint"]
    assert all(text in said for text in texts), said


def settings(**more: Any) -> Settings:
    return Settings("streets", SIZE_HW, 10.0, "p50", 1.0, SPACE, "evolution", 1, 0, **more)


def words(table: Path, data: str, place: Path, *more: object) -> list[object]:
    given = ["search", "--data", data, "--size", SIZE, "--space", SPACE, "--budget", "100ms", "--minutes", "0.1"]
    return [*given, "--table", table, "--run", place, *more]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def searched(small_table: Path, data: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a search answered; by two workers, where there are Ray and two cores."""
    ray = importlib.util.find_spec("ray") is not None and CORES > 1
    place = tmp_path_factory.mktemp("search") / "run"
    ended = run(*words(small_table, data, place, *(["--workers", 2] if ray else [])))
    assert ended.code == 0, ended.document
    return ended.document


def test_search_by_workers_ends_as_one_without_them(searched: dict[str, Any]) -> None:
    assert searched["evaluations"] > 0
    assert 0 < searched["slice_miou"] <= 1


@pytest.fixture
def led(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if another process led the search, for some seconds from when it is looked at first."""
    ends: list[float] = []

    def is_led(study: Study) -> bool:
        ends.append(time.monotonic() + 4)
        return time.monotonic() < ends[0]

    monkeypatch.setattr(Study, "is_led", property(is_led))


def journal_of(searched: dict[str, Any]) -> Path:
    return Path(searched["run"]) / "study.journal"


def copies(searched: dict[str, Any], folder: Path) -> Path:
    """What a worker elsewhere has of the run."""
    folder.mkdir()
    for name in ("table.json", "supernet.safetensors", "pool.json"):
        shutil.copy(Path(searched["run"]) / name, folder)
    return folder


@pytest.mark.usefixtures("led")
def test_worker_evaluates_for_the_search_and_ends_with_it(searched: dict[str, Any], data: str, tmp_path: Path) -> None:
    journal = journal_of(searched)
    elsewhere = Path(data.partition(":")[2]).rename(tmp_path / "moved")
    try:
        given = [
            "--storage",
            journal,
            "--files",
            copies(searched, tmp_path / "copies"),
            "--data",
            f"folder:{elsewhere}",
        ]
        ended = run("worker", *given)
    finally:
        elsewhere.rename(data.partition(":")[2])
    assert ended.code == 0, ended.document
    assert ended.document["stopped"] in ("exhausted", "deadline")
    assert set(ended.document) >= promised("worker")
    trials = read_study(journal).trials
    assert len(trials) == ended.document["evaluations"] >= searched["evaluations"]
    assert len({trial.attrs["fingerprint"] for trial in trials}) == len(trials)
    assert all(trial.status == "ok" for trial in trials)
    assert sum(trial.to_dict()["stream"] > 0 for trial in trials) == ended.document["evaluations_here"]


def test_worker_without_a_search_is_refused(searched: dict[str, Any]) -> None:
    refused(run("worker", "--storage", journal_of(searched)), "no process is at work")


@pytest.mark.usefixtures("led")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "supernet.safetensors").unlink(), ["no supernet.safetensors", "--files"]),
        (lambda folder: (folder / "supernet.safetensors").write_bytes(b"0"), ["is not the supernet.safetensors"]),
        (lambda folder: (folder / "table.json").write_text("{}"), ["is not the table.json"]),
    ],
)
def test_worker_without_the_search_s_files_is_refused(
    spoil: Callable[[Path], object], said: list[str], searched: dict[str, Any], tmp_path: Path
) -> None:
    folder = copies(searched, tmp_path / "copies")
    spoil(folder)
    refused(run("worker", "--storage", journal_of(searched), "--files", folder), *said)


@pytest.mark.usefixtures("led")
def test_worker_with_other_images_is_refused(searched: dict[str, Any], tmp_path: Path) -> None:
    other = folder_data(tmp_path / "other", train=9)
    refused(run("worker", "--storage", journal_of(searched), "--data", other), "other images", "9 of 12", "--data")


def test_worker_of_no_study_is_refused(tmp_path: Path) -> None:
    refused(run("worker", "--storage", tmp_path / "study.journal"), "there is no study")
    assert not (tmp_path / "study.journal").exists()


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
        Workers(1000, None, 1).check(settings())


def test_gpus_are_for_trainings_of_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trainings = settings(evaluation=EvaluatorOptions(evaluator="training"))
    assert Workers(2, gpus=0.5).placement.gpus == 0.5
    with pytest.raises(HwnasError, match="there are none"):
        Workers(1, gpus=1).check(trainings)
    with pytest.raises(HwnasError, match="slices computes on cores alone"):
        Workers(2, gpus=1).check(settings())
    pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    monkeypatch.setattr("hwnas.search.ray_executor.gpus_here", lambda: 1)
    with pytest.raises(HwnasError, match="2 workers of 1 GPUs do not fit the 1 GPUs"):
        Workers(2, None, 1, 1).check(trainings)
    Workers(2, None, 1, 0.5).check(trainings)


def test_a_worker_with_a_gpu_trains_on_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun: list[Work] = []

    @contextmanager
    def pretended(work: Work, *_: object, **__: object) -> Iterator[None]:
        begun.append(work)
        yield

    monkeypatch.setattr("hwnas.cli.stages.workers.ray_workers", pretended)
    options = EvaluatorOptions(evaluator="training")
    work = Work("hwnas.spaces.realtime", SPACE, options, "streets", SIZE_HW, tmp_path, 0, 1)
    for gpus, device in ((0.0, "cpu"), (0.5, "cuda")):
        with at_work(Workers(2, gpus=gpus), work, Silent()):
            pass
        assert begun[-1].device == device
    monkeypatch.setattr("hwnas.cli.stages.evaluating.fitting_recipe", lambda recipe, *_: recipe)
    shop = Workshop(SPACES.get(SPACE), None, options, tmp_path, 0, 1, Silent(), device="cuda")  # type: ignore[arg-type]
    assert shop._plan(None).device == "cuda"  # type: ignore[arg-type]
