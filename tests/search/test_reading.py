"""Studies read from outside: whole, being written, damaged; and what is no study."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest
from joining_worker import opened
from toy_space import ToyEvaluator, toy_problem

from hwnas.errors import MissingPackage, RunError
from hwnas.search.random_search import RandomSearch
from hwnas.search.reading import read_study
from hwnas.search.run import search
from hwnas.search.strategy import Request
from hwnas.search.study import open_study


def filled(where: str, evaluations: int) -> None:
    problem = toy_problem()
    study = opened(where)
    search(problem, RandomSearch(problem, seed=0), ToyEvaluator(), study, evaluations=evaluations)
    study.begin(Request({f"x{i}": 0 for i in range(8)}, evaluations), "running", {"latency_ms": 1.0})
    study.close()


@pytest.fixture(params=["journal", "sqlite"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    place = str(tmp_path / "study.journal") if request.param == "journal" else f"sqlite:///{tmp_path}/study.db"
    filled(place, 5)
    return place


def test_reading_gives_what_the_study_holds_and_changes_nothing(where: str, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found = read_study(where)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert [trial.number for trial in found.trials] == list(range(6))
    assert [trial.status for trial in found.trials] == ["ok"] * 5 + ["running"]
    assert (found.metrics, found.identity["limits"], found.faults) == ({"miou": "max"}, {"latency_ms": 8.0}, ())
    document = found.trials[0].to_dict()
    (first, *_) = opened(where).trials
    assert document["decisions"]["x0"] == first.request.decisions["x0"]
    assert document["values"] == dict(first.outcome.values)  # type: ignore[union-attr]
    assert document["genotype"]["format"] == "hwnas-genotype"
    assert (document["recipe"], document["attempts"], document["seed"], document["fidelity"]) == ({}, 1, 0, 1.0)


def test_timing_contract_is_kept_once_and_named_in_each_trial(tmp_path: Path) -> None:
    path, problem = tmp_path / "study.journal", toy_problem()
    contract = {"device": "a", "size_hw": [96, 128]}
    study = open_study(path, problem, identity={}, seed=0, contract=contract)
    study.begin(Request({f"x{i}": 0 for i in range(8)}, 0), "abc", {"latency_ms": 1.0})
    found = read_study(path)
    assert found.contract == contract
    assert found.trials[0].to_dict()["contract"] == found.identity["contract"] != ""
    with pytest.raises(RunError, match="its contract is"):
        open_study(path, problem, identity={}, seed=0, contract={**contract, "device": "b"})


def test_torn_last_line_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    filled(str(path), 3)
    with path.open("ab") as stream:
        stream.write(b'{"op_code":4,"work')
    found = read_study(path)
    assert (len(found.trials), found.faults) == (4, ())


def test_damaged_journal_is_read_around_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    filled(str(path), 6)
    lines = path.read_bytes().splitlines(keepends=True)
    whole = {trial.number: trial.to_dict() for trial in read_study(path).trials}
    creating = [index for index, line in enumerate(lines) if line.startswith(b'{"op_code":4,')]
    lines[creating[2]] = lines[creating[2]][:300] + b"\n"
    path.write_bytes(b"".join(lines))
    found = read_study(path)
    assert {trial.number: trial.to_dict() for trial in found.trials} == {n: whole[n] for n in whole if n != 2}
    assert found.faults[0] == f"line {creating[2] + 1} is damaged"
    lines[creating[4]] = b"\0\0\0\n"
    path.write_bytes(b"".join(lines))
    found = read_study(path)
    assert [trial.number for trial in found.trials] == [0, 1, 3]
    assert any("nothing after" in fault for fault in found.faults)


def test_damaged_sqlite_file_is_read_around_the_damage(tmp_path: Path) -> None:
    where, path = f"sqlite:///{tmp_path}/study.db", tmp_path / "study.db"
    filled(where, 30)
    whole = {trial.number: trial.to_dict() for trial in read_study(where).trials}
    page = pages_of(path, "trial_user_attributes")[3]
    with path.open("r+b") as stream:
        stream.seek((page - 1) * 4096)
        stream.write(os.urandom(4096))
    found = read_study(where)
    read = {trial.number: trial.to_dict() for trial in found.trials}
    assert 15 <= len(read) < len(whole)
    assert all(document["decisions"] == whole[number]["decisions"] for number, document in read.items())
    assert "damaged" in found.faults[0]
    assert ".recover" in found.faults[1]
    with pytest.raises(RunError, match="damaged") as caught:
        opened(where)
    assert "hwnas trials --storage" in caught.value.hint and ".recover" in caught.value.hint


def pages_of(path: Path, table: str) -> list[int]:
    """Pages that hold rows of a table, in order."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", (table,)
        )
        return [page for (page,) in rows]
    except sqlite3.OperationalError:
        pytest.skip("this SQLite was built without dbstat")
    finally:
        connection.close()


def test_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"hello" * 1000)
    with pytest.raises(RunError, match="is no SQLite database"):
        read_study(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(RunError, match="damaged"):
        opened(f"sqlite:///{tmp_path}/x.db")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nowhere/study.journal", "there is no study nowhere"),
        ("sqlite:///nowhere.db", "no file nowhere.db"),
        ("redis://localhost", "scheme that is not known: redis"),
        ("sqlite://", "would be lost with the process"),
        ("postgresql://u:secret@127.0.0.1:1/db", "cannot read the study in postgresql://u:…@127.0.0.1:1/db"),
    ],
)
def test_what_cannot_be_read_is_said(where: str, said: str) -> None:
    if where.startswith("postgresql"):
        pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(RunError, match=said) as caught:
        read_study(where)
    assert "secret" not in str(caught.value)


def test_missing_driver_names_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for read in (opened, read_study):
        with pytest.raises(MissingPackage, match="driver for postgresql") as caught:
            read("postgresql://u@127.0.0.1/db")
        assert caught.value.hint == 'pip install "hwnas[postgres]"'


def test_several_studies_are_told_apart_by_name(tmp_path: Path) -> None:
    path, problem = tmp_path / "study.journal", toy_problem()
    for name in ("one", "two"):
        study = open_study(path, problem, identity={}, seed=0, name=name)
        study.begin(Request({f"x{i}": len(name) % 4 for i in range(8)}, 0), name, {})
    with pytest.raises(RunError, match="holds 2 studies") as caught:
        read_study(path)
    assert "one, two" in caught.value.hint
    assert [trial.attrs["fingerprint"] for trial in read_study(path, "two").trials] == ["two"]
    with pytest.raises(RunError, match="no study called 'three'"):
        read_study(path, "three")
