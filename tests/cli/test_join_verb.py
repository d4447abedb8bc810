"""``hwnas search --storage`` and ``--join``: another process takes part in a search, and in no other."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from commands import run
from fresh_processes import FRESH
from small_world import SIZE, SPACE, folder_data

from hwnas.search.members import Member
from hwnas.search.reading import read_study
from hwnas.search.storage import open_store


def lead(where: str, name: str, answer: Connection) -> None:
    """What the process of a search that is under way looks like from outside."""
    store = open_store(where, name)
    study_id = store.storage.get_study_id_from_name(name)
    with store.exclusive():
        number = len([key for key in store.storage.get_study_user_attrs(study_id) if key.startswith("member:")])
        store.storage.set_study_user_attr(study_id, f"member:{number}", Member.here(number, 0).to_dict())
    answer.send("leading")
    answer.recv()


def kill_after_a_trial_of_others(leader: multiprocessing.process.BaseProcess, storage: str) -> None:
    """Let the search be led until another process has evaluated a candidate; a minute at most."""
    for _ in range(600):
        trials = read_study(storage).trials
        if any(trial.attrs["request"]["stream"] > 0 and trial.status != "running" for trial in trials):
            break
        time.sleep(0.1)
    os.kill(leader.pid or 0, signal.SIGKILL)
    leader.join()


@pytest.fixture(scope="module")
def searched(small_table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path, str]:
    """The words of a search that has ended, its run directory, and the storage of its study."""
    place = tmp_path_factory.mktemp("join")
    storage = f"sqlite:///{place}/study.db"
    words = ["search", "--data", folder_data(place / "data"), "--size", SIZE, "--space", SPACE, "--budget", "100ms"]
    words += ["--minutes", "0.1", "--table", str(small_table), "--storage", storage]
    ended = run(*words, "--run", place / "run")
    assert ended.code == 0, ended.document
    return words, place / "run", storage


def test_study_is_in_the_storage_under_the_name_of_the_run(searched: tuple[list[str], Path, str]) -> None:
    _, folder, storage = searched
    assert not (folder / "study.journal").exists()
    found = read_study(storage, "run")
    assert len(found.trials) > 0 and found.contract is not None
    assert found.trials[0].to_dict()["genotype"]["skeleton"] == "encoder_decoder"
    assert len(run("trials", folder).document["trials"]) == len(found.trials)
    config = json.loads((folder / "config.json").read_text())["config"]
    assert (config["storage"], config["study"]) == (storage, "run")


def test_second_search_joins_or_is_refused(searched: tuple[list[str], Path, str]) -> None:
    words, folder, storage = searched
    before = len(read_study(storage).trials)
    nobody = run(*words, "--run", folder, "--join")
    assert nobody.code == 2 and "no process is at work" in nobody.document["error"]

    here, there = FRESH.Pipe()
    leader = FRESH.Process(target=lead, args=(storage, "run", there), daemon=True)
    leader.start()
    assert here.recv() == "leading"
    watch = threading.Thread(target=kill_after_a_trial_of_others, args=(leader, storage))
    watch.start()
    joined = run(*words, "--run", folder, "--join")
    watch.join()
    assert joined.code == 0, joined.document
    trials = read_study(storage).trials
    mine = [trial for trial in trials if trial.attrs["request"]["stream"] > 0]
    assert joined.document["evaluations_here"] == len(mine) == len(trials) - before > 0
    assert joined.document["evaluations"] == len(trials)
    assert len({trial.attrs["fingerprint"] for trial in trials}) == len(trials)


def test_what_cannot_be_joined(searched: tuple[list[str], Path, str], tmp_path: Path) -> None:
    words, folder, _ = searched
    for more, said in (
        (["--run", tmp_path / "nowhere", "--join"], "no run to join"),
        (["--run", folder, "--join", "--resume"], "either joined or resumed"),
        (["--run", folder, "--join", "--seed", "9"], "seed = 0, not 9"),
    ):
        ended = run(*words, *more)
        assert ended.code == 2 and said in ended.document["error"]
    without = [word for word in words if not word.startswith(("--storage", "sqlite"))]
    ended = run(*without, "--run", tmp_path / "new", "--study", "a")
    assert ended.code == 2 and "--storage" in ended.document["hint"]
