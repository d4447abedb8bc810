"""What a study holds, that Optuna reads it, and what reopening it finds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from toy_space import ToySpace, toy_problem

from hwnas.errors import RunError
from hwnas.search.objective import Objective
from hwnas.search.problem import Problem
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import Study, open_study

DECISIONS = {**{f"x{i}": 3 for i in range(8)}, "extra": (1, 2)}


def opened(folder: Path, problem: Problem | None = None, seed: int = 4, **identity: object) -> Study:
    return open_study(folder / "study.journal", problem or toy_problem(), identity=identity, seed=seed)


def optuna_study(folder: Path) -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
    return optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(backend))


def test_trial_comes_back_as_it_was(tmp_path: Path) -> None:
    study = opened(tmp_path)
    request = Request(DECISIONS, 0, fidelity=0.5, continue_from="a.safetensors")
    trial = study.begin(request, "abc", {"latency_ms": 7.0, "macs": 1e9})
    closed = study.finish(trial, Outcome(request, {"miou": 0.25}, note="fine", checkpoint="b.safetensors"), 1.5)
    (read,) = opened(tmp_path).trials
    assert read == closed
    assert read.request.decisions["extra"] == (1, 2)
    assert dict(read.outcome.values) == {"miou": 0.25}
    assert dict(read.costs) == {"latency_ms": 7.0, "macs": 1e9}


def test_other_tools_read_it(tmp_path: Path) -> None:
    study = opened(tmp_path)
    statuses = ("ok", "infeasible", "failed", "ok")
    for number, status in enumerate(statuses):
        request = Request({**DECISIONS, "x1": number}, number)
        trial = study.begin(request, f"key{number}", {"latency_ms": 7.0})
        if number < 3:
            values = {"miou": 0.2 + number, "latency_ms": 7.0}
            study.finish(trial, Outcome(request, values, status), 0.1)
    seen = optuna_study(tmp_path)
    assert [trial.state.name for trial in seen.trials] == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert seen.best_trial.number == 0
    assert seen.best_value == 0.2
    assert seen.metric_names == ["miou"]
    best = seen.best_trial
    assert best.params == {**{f"x{i}": 3 for i in range(8)}, "x1": 0, "extra": "[1, 2]"}
    assert best.user_attrs["latency_ms"] == 7.0
    assert best.user_attrs["fingerprint"] == "key0"
    assert best.user_attrs["seed"] == 4
    assert best.user_attrs["outcome"]["status"] == "ok"
    assert best.user_attrs["request"]["decisions"]["extra"] == [1, 2]
    assert seen.user_attrs["hwnas"]["space"] == "toy"


def test_optuna_dashboard_shows_it(tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    study = opened(tmp_path)
    for number, status in enumerate(("ok", "failed")):
        request = Request({**DECISIONS, "x1": number}, number)
        trial = study.begin(request, f"key{number}", {"latency_ms": 7.0})
        study.finish(trial, Outcome(request, {"miou": 0.25, "latency_ms": 7.0}, status), 0.1)
    app = dashboard.wsgi(optuna_study(tmp_path)._storage)

    def answer(path: str) -> dict[str, Any]:
        environ: dict[str, Any] = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        return json.loads(b"".join(app(environ, lambda *_: None)))

    (summary,) = answer("/api/studies")["study_summaries"]
    assert summary["study_name"] == "search"
    trials = answer(f"/api/studies/{summary['study_id']}")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Fail"]
    assert trials[0]["values"] == [0.25]
    assert {"key": "latency_ms", "value": "7.0"} in trials[0]["user_attrs"]


def test_trial_is_recorded_before_it_is_evaluated(tmp_path: Path) -> None:
    opened(tmp_path).begin(Request(DECISIONS, 0), "abc", {})
    again = opened(tmp_path)
    assert [trial.request.id for trial in again.orphans] == [0]
    assert again.finished == []
    assert again.retry(again.orphans[0]).attempts == 2
    assert opened(tmp_path).orphans[0].attempts == 2


def test_outcome_written_without_its_state_is_finished_on_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened(tmp_path)
    request = Request(DECISIONS, 0)
    trial = study.begin(request, "abc", {})
    with monkeypatch.context() as patch:
        patch.setattr(Study, "_close", lambda *args: None)  # killed between the two writes
        study.finish(trial, Outcome(request, {"miou": 0.5, "latency_ms": 1.0}), 0.1)
    again = opened(tmp_path)
    assert [trial.outcome.values["miou"] for trial in again.finished] == [0.5]
    assert optuna_study(tmp_path).trials[0].state.name == "COMPLETE"


def test_finished_are_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    study = opened(tmp_path)
    trials = [study.begin(Request({**DECISIONS, "x1": i}, i), str(i), {}) for i in range(3)]
    for trial in (trials[2], trials[0]):
        study.finish(trial, Outcome(trial.request, {"miou": 0.5}), 0.1)
    again = opened(tmp_path)
    assert [trial.request.id for trial in again.finished] == [2, 0]
    closed = again.finish(again.orphans[0], Outcome(trials[1].request, status="failed"), 0.1)
    assert closed.told == 2


def test_not_a_number_is_kept_out_of_the_file(tmp_path: Path) -> None:
    study = opened(tmp_path)
    trial = study.begin(Request(DECISIONS, 0), "abc", {})
    study.finish(trial, Outcome(trial.request, {"miou": float("nan"), "loss": 2.0}, "failed", "miou is nan"), 0.1)
    assert b"NaN" not in (tmp_path / "study.journal").read_bytes()
    (read,) = opened(tmp_path).trials
    assert dict(read.outcome.values) == {"loss": 2.0}
    assert read.outcome.note == "miou is nan"


class OtherSpace(ToySpace):
    name = "other"


@pytest.mark.parametrize(
    ("problem", "identity", "named"),
    [
        (Problem(OtherSpace(), toy_problem().objective), {"data": "streets"}, "space"),
        (Problem(ToySpace(), Objective("miou", {"latency_ms": 9.0})), {"data": "streets"}, "limits"),
        (toy_problem(), {"data": "camvid"}, "data"),
        (toy_problem(), {}, "data"),
    ],
)
def test_study_of_another_search_is_refused(
    tmp_path: Path, problem: Problem, identity: dict[str, str], named: str
) -> None:
    opened(tmp_path, data="streets")
    with pytest.raises(RunError, match=f"its {named} is"):
        opened(tmp_path, problem, **identity)


def test_another_seed_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, seed=1)
    with pytest.raises(RunError, match="its seed is 1, not 2"):
        opened(tmp_path, seed=2)


def test_trials_of_other_tools_are_passed_over(tmp_path: Path) -> None:
    study = opened(tmp_path)
    optuna_study(tmp_path).enqueue_trial({"x0": 1})
    trial = study.begin(Request(DECISIONS, 0), "abc", {})
    study.finish(replace(trial, attempts=1), Outcome(trial.request, {"miou": 0.5}), 0.1)
    assert [trial.fingerprint for trial in opened(tmp_path).trials] == ["abc"]


def test_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = opened(tmp_path)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(study._store.storage._backend, "append_logs", full)
    with pytest.raises(RunError, match="No space left"):
        study.begin(Request(DECISIONS, 0), "abc", {})
