"""What the executor over Ray does with workers that are lost, hang or cannot start; told on a Ray that is none."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_ray import Death, FakeRay, Hang
from toy_space import ToyEvaluator, miou, toy_problem

import hwnas.search.ray_executor as ray_executor
from hwnas.errors import HwnasError, MissingPackage, RunError
from hwnas.progress import Silent
from hwnas.search.evolution import Evolution
from hwnas.search.executor import Executor
from hwnas.search.random_search import RandomSearch
from hwnas.search.ray_executor import Placement, RayExecutor, ray_workers, reason_of
from hwnas.search.run import SearchResult, search
from hwnas.search.strategy import Evaluator, Outcome, Request
from hwnas.search.study import open_study


class Misbehaving:
    """Does what ``acts`` says for a candidate, the first time(s) that it meets it."""

    def __init__(self, acts: dict[int, list[type[BaseException]]], met: Counter[int]) -> None:
        self.acts, self.met = acts, met

    def evaluate(self, request: Request) -> Outcome:
        self.met[request.id] += 1
        if self.acts.get(request.id):
            raise self.acts[request.id].pop(0)
        return Outcome(request, {"miou": miou(request.decisions)})


def executor_over(
    ray: FakeRay, make: Callable[[], Evaluator], workers: int = 3, limit_s: float | None = None
) -> RayExecutor:
    return RayExecutor(ray, make, workers, Placement(), limit_s, Silent())  # type: ignore[arg-type]


def run(folder: Path, executor: Evaluator | Executor, evaluations: int = 20) -> SearchResult:
    problem = toy_problem()
    study = open_study(folder / "study.journal", problem, identity={}, seed=0)
    strategy = Evolution(problem, seed=0, population=8, tournament=3)
    result = search(problem, strategy, executor, study, evaluations=evaluations)
    study.close()
    return result


def test_everything_is_evaluated_once_however_many_workers(tmp_path: Path) -> None:
    for workers in (3, 40):
        met: Counter[int] = Counter()
        ray = FakeRay()
        executor = executor_over(ray, lambda met=met: Misbehaving({}, met), workers)  # type: ignore[misc]
        result = run(tmp_path / str(workers), executor)
        assert met == dict.fromkeys(range(20), 1)
        assert len({trial.fingerprint for trial in result.trials}) == 20
        assert len(ray.actors) == workers
        assert all(
            trial.outcome.values["miou"] == miou(trial.request.decisions) for trial in result.trials if trial.outcome
        )


def test_one_worker_visits_what_a_search_without_workers_visits(tmp_path: Path) -> None:
    alone = run(tmp_path / "alone", ToyEvaluator())
    together = run(tmp_path / "together", executor_over(FakeRay(), ToyEvaluator, workers=1))
    assert [trial.request for trial in together.trials] == [trial.request for trial in alone.trials]


def test_lost_worker_is_replaced_and_its_candidate_evaluated_again(tmp_path: Path) -> None:
    met: Counter[int] = Counter()
    acts: dict[int, list[type[BaseException]]] = {4: [Death], 17: [Death, Death], 18: [Death]}
    ray = FakeRay()
    result = run(tmp_path, executor_over(ray, lambda: Misbehaving(acts, met)))
    assert sorted(trial.request.id for trial in result.trials) == list(range(20))
    assert {number: times for number, times in met.items() if times > 1} == {4: 2, 17: 2, 18: 2}
    failed = [trial for trial in result.trials if trial.outcome and trial.outcome.status == "failed"]
    assert [(trial.request.id, trial.attempts) for trial in failed] == [(17, 2)]
    assert failed[0].outcome is not None
    assert failed[0].outcome.note == "its worker was lost twice; the last time: it was killed"
    assert len(ray.actors) == 3 + 4


def test_search_whose_every_worker_dies_ends(tmp_path: Path) -> None:
    def make() -> Evaluator:
        return Misbehaving({number: [Death, Death] for number in range(1000)}, Counter())

    with pytest.raises(RunError, match=r"the first 20 candidates all failed.*lost twice"):
        run(tmp_path, executor_over(FakeRay(), make), evaluations=1000)


def test_worker_that_hangs_is_ended_and_its_candidate_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "GRACE_S", 0.0)
    ray = FakeRay()
    acts: dict[int, list[type[BaseException]]] = {5: [Hang]}
    result = run(tmp_path, executor_over(ray, lambda: Misbehaving(acts, Counter()), limit_s=0.02), evaluations=8)
    notes = {trial.request.id: trial.outcome.note for trial in result.trials if trial.outcome and trial.outcome.note}
    assert notes == {5: "out of time: it took more than 0.02 s"}
    assert [actor.dead for actor in ray.actors].count(True) == 1


def test_worker_itself_ends_what_takes_too_long() -> None:
    class Slow:
        def evaluate(self, request: Request) -> Outcome:
            while True:
                pass

    worker = ray_executor.Worker(Slow, threads=1, limit_s=0.02)
    document, seconds = worker.evaluate({"decisions": {}, "id": 0, "fidelity": 1.0, "continue_from": None})
    assert (document["status"], document["note"]) == ("failed", "out of time: it took more than 0.02 s")
    assert seconds < 5


def test_workers_that_cannot_start_end_the_search_with_the_reason() -> None:
    def make() -> Evaluator:
        raise FileNotFoundError("supernet.safetensors is not here")

    with pytest.raises(RunError, match=r"no worker can be started: .*supernet\.safetensors is not here"):
        executor_over(FakeRay(), make).wait_until_ready()


def test_worker_that_cannot_be_replaced_leaves_the_others_at_work(tmp_path: Path) -> None:
    started = []
    acts: dict[int, list[type[BaseException]]] = {3: [Death]}

    def make() -> Evaluator:
        started.append(1)
        if len(started) > 2:
            raise FileNotFoundError("the disk is gone")
        return Misbehaving(acts, Counter())

    result = run(tmp_path, executor_over(FakeRay(), make, workers=2), evaluations=10)
    assert result.evaluations == 10


def test_closed_executor_has_ended_all_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay()
    executor = executor_over(ray, ToyEvaluator)
    executor.wait_until_ready()
    monkeypatch.setattr(ray_executor, "_exists", lambda pid: False)  # the "workers" are in this process
    executor.close()
    assert all(actor.dead for actor in ray.actors)


def test_more_workers_than_cores_are_refused() -> None:
    pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
    cores = len(os.sched_getaffinity(0))
    with pytest.raises(HwnasError, match=rf"{cores + 1} workers of 1 cores do not fit the {cores} cores"):
        ray_workers(ToyEvaluator, cores + 1).__enter__()


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingPackage, match=r"hwnas\[ray\]"):
        ray_workers(ToyEvaluator, 2).__enter__()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "The actor died.\n\tclass_name: Worker\nWorker exit type: SYSTEM_ERROR Worker exit detail: Worker "
            "unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1)",
            "Worker unexpectedly exits with a connection error code 2. End of file",
        ),
        (
            "The actor died because of an error raised in its creation task\n  File x.py, line 3\n"
            "hwnas.errors.RunError: the supernet is another",
            "RuntimeError: hwnas.errors.RunError: the supernet is another",
        ),
        ("its node has died", "RuntimeError: its node has died"),
    ],
)
def test_reasons_are_one_line(text: str, reason: str) -> None:
    assert reason_of(RuntimeError(text)) == reason


def test_random_search_on_many_workers_finds_the_same_candidates(tmp_path: Path) -> None:
    """What does not learn from outcomes does not depend on their order either."""
    problem = toy_problem()
    visited = []
    for workers in (1, 4):
        study = open_study(tmp_path / f"{workers}.journal", problem, identity={}, seed=0)
        executor = executor_over(FakeRay(), ToyEvaluator, workers)
        result = search(problem, RandomSearch(problem, seed=0), executor, study, evaluations=20)
        visited.append(sorted(trial.fingerprint for trial in result.trials))
    assert visited[0] == visited[1]
