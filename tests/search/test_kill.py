"""``kill -9`` at ten random moments of a search, then on: nothing recorded is lost or evaluated again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from toy_space import ToyEvaluator, toy_problem

from hwnas.search.evolution import Evolution
from hwnas.search.run import search
from hwnas.search.study import Trial, open_study

SCRIPT = Path(__file__).parent / "search_to_be_killed.py"
ROOT = Path(__file__).resolve().parents[2]
EVALUATIONS = 200


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(folder), str(EVALUATIONS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def recorded(folder: Path) -> list[Trial]:
    """What the journal holds; read from a copy, so that nothing is mended in the original."""
    copy = folder / "copy.journal"
    copy.write_bytes((folder / "run" / "study.journal").read_bytes())
    study = open_study(copy, toy_problem(), identity={}, seed=0)
    return list(study.trials)


def evaluated(folder: Path) -> list[str]:
    log = folder / "evaluated.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.dumps(json.loads(line)["decisions"], sort_keys=True) for line in lines]


def key(trial: Trial) -> str:
    return json.dumps(dict(trial.request.decisions), sort_keys=True)


def test_killed_ten_times_and_resumed(tmp_path: Path) -> None:
    rng = np.random.default_rng()
    orphaned: Counter[str] = Counter()
    before: list[Trial] = []
    for _ in range(10):
        process = start(tmp_path)
        time.sleep(float(rng.uniform(0.0, 0.15)))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        after = recorded(tmp_path)
        finished = {trial.request.id: trial for trial in after if trial.outcome is not None}
        for trial in before:
            assert trial.request.id in {other.request.id for other in after}, "a recorded candidate was lost"
            if trial.outcome is not None:
                assert finished[trial.request.id] == trial, "a recorded outcome was lost or changed"
        orphaned.update(key(trial) for trial in after if trial.outcome is None)
        before = after
    process = start(tmp_path)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(json.loads(output)) == EVALUATIONS

    trials = recorded(tmp_path)
    assert len(trials) == EVALUATIONS
    assert len({key(trial) for trial in trials}) == EVALUATIONS
    assert all(trial.outcome is not None for trial in trials)
    for decisions, times in Counter(evaluated(tmp_path)).items():
        assert times <= 1 + min(orphaned[decisions], 1), "evaluated twice though it was not cut off"
    failed = [trial for trial in trials if trial.outcome is not None and trial.outcome.status == "failed"]
    assert all(orphaned[key(trial)] == 2 for trial in failed)
    if not failed:
        assert [key(trial) for trial in trials] == uninterrupted(tmp_path / "whole")


def uninterrupted(folder: Path) -> list[str]:
    problem = toy_problem()
    study = open_study(folder / "study.journal", problem, identity={}, seed=0)
    strategy = Evolution(problem, seed=0, population=8, tournament=3)
    return [key(trial) for trial in search(problem, strategy, ToyEvaluator(), study, evaluations=EVALUATIONS).trials]
