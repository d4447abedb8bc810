"""``hwnas trials`` and ``hwnas pareto`` on a study that is there, and on what is none."""

from __future__ import annotations

import csv
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from commands import promised, run

sys.path.insert(0, str(Path(__file__).parent.parent / "contracts"))

from toy_space import miou, price, toy_problem

from hwnas.cli.main import main
from hwnas.search.random_search import RandomSearch
from hwnas.search.run import search
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import open_study


class Slower:
    """Every fifth turns out to be over the budget of 8 ms, every fourth runs out of memory."""

    def evaluate(self, request: Request) -> Outcome:
        if request.id % 4 == 3:
            raise MemoryError("no more")
        latency_ms = 9.0 if request.id % 5 == 2 else price(request.decisions)["latency_ms"]
        return Outcome(request, {"miou": miou(request.decisions), "latency_ms": latency_ms})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of 20 candidates, in a journal and in an SQLite file."""
    place = tmp_path_factory.mktemp("study")
    problem = toy_problem()
    for where in (place / "study.journal", f"sqlite:///{place}/study.db"):
        study = open_study(where, problem, identity={}, seed=0)
        search(problem, RandomSearch(problem, seed=0), Slower(), study, evaluations=20)
        study.close()
    return place


def printed(*words: object) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([*map(str, words)]) == 0
    return out.getvalue()


def test_trials_in_every_form_say_the_same(folder: Path, tmp_path: Path) -> None:
    ended = run("trials", folder)
    assert ended.code == 0 and set(ended.document) >= promised("trials")
    trials = ended.document["trials"]
    assert len(trials) == 20 and ended.document["counts"] == {"ok": 12, "infeasible": 3, "failed": 5}
    assert run("trials", "--storage", f"sqlite:///{folder}/study.db").document["counts"] == ended.document["counts"]
    assert [each["number"] for each in json.loads(printed("trials", folder, "--format", "json"))] == list(range(20))
    rows = list(csv.DictReader(io.StringIO(printed("trials", folder, "--format", "csv"))))
    assert [row["status"] for row in rows] == [trial["status"] for trial in trials]
    assert float(rows[0]["value.miou"]) == trials[0]["values"]["miou"]
    assert rows[0]["decision.x0"] == str(trials[0]["decisions"]["x0"])
    assert rows[3]["note"] == "out of memory: no more" and rows[3]["value.miou"] == ""
    written = run("trials", folder, "--format", "csv", "-o", tmp_path / "t.csv")
    assert written.document["output"] == str(tmp_path / "t.csv") and "trials" not in written.document
    assert (tmp_path / "t.csv").read_text() == printed("trials", folder, "--format", "csv")
    assert "20 trials: 12 ok, " in printed("trials", folder)


def test_trials_as_parquet(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    assert run("trials", folder, "--format", "parquet", "-o", tmp_path / "t.parquet").code == 0
    table = parquet.read_table(tmp_path / "t.parquet")
    assert table.num_rows == 20
    assert table["value.miou"].to_pylist()[3] is None
    assert table["decision.extra"].to_pylist()[0] in (None, "[1,2]", "[3,4]")


def test_parquet_without_pyarrow_says_what_to_install(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = run("trials", folder, "--format", "parquet", "-o", tmp_path / "t.parquet")
    assert ended.code == 2 and "hwnas[parquet]" in ended.document["hint"]


def test_pareto_holds_what_nothing_feasible_beats(folder: Path, tmp_path: Path) -> None:
    ended = run("pareto", folder)
    assert ended.code == 0 and set(ended.document) >= promised("pareto")
    feasible = [trial["values"] for trial in run("trials", folder).document["trials"] if trial["status"] == "ok"]
    front = [trial["values"] for trial in ended.document["front"]]
    for values in feasible:
        assert any(each["latency_ms"] <= values["latency_ms"] and each["miou"] >= values["miou"] for each in front)
    assert [each["latency_ms"] for each in front] == sorted({each["latency_ms"] for each in front})
    assert [each["miou"] for each in front] == sorted({each["miou"] for each in front})
    assert max(each["latency_ms"] for each in front) <= 8.0
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    drawn = run("pareto", folder, "-o", tmp_path / "front.svg")
    assert drawn.document["picture"] == str(tmp_path / "front.svg")
    assert "Pareto front" in (tmp_path / "front.svg").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trials",), "which study is meant"),
        (("trials", "nowhere"), "there is no study nowhere"),
        (("trials", "{}", "--format", "parquet"), "not for standard output"),
        (("trials", "{}", "-o", "t.txt"), "a table is for reading"),
        (("trials", "--storage", "redis://x"), "scheme that is not known"),
        (("pareto", "{}", "--x", "macs"), "no trial has 'macs'"),
        (("pareto", "{}", "-o", "front.bmp"), "cannot draw"),
    ],
)
def test_mistakes_are_one_sentence(folder: Path, words: tuple[str, ...], said: str) -> None:
    ended = run(*(word.format(folder) for word in words))
    assert ended.code == 2
    assert said in ended.document["error"]


def test_study_without_a_feasible_trial(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.journal", toy_problem(), identity={}, seed=0)
    assert printed("trials", tmp_path).endswith("0 trials: none was begun\n")
    assert run("trials", tmp_path, "--format", "csv").code == 0
    study.begin(Request({f"x{i}": 0 for i in range(8)}, 0), "abc", {"latency_ms": 1.0})
    assert "1 were tried" in run("pareto", tmp_path).document["error"]
