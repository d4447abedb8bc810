"""Options that would do nothing where they are given, and numbers that are none: told before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run
from small_world import SIZE, SPACE, synthetic_table

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.stages.evaluating import check_options
from hwnas.errors import HwnasError
from hwnas.latency.table import save_table

TRAIN = ["train", "fast-scnn", "--data", "streets", "--size", SIZE, "--run", "run"]
SEARCH = ["search", "--data", "streets", "--size", SIZE, "--budget", "1s", "--space", SPACE, "--run", "run"]
VALIDATE = ["validate", "engine", "--data", "streets"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*words: object) -> tuple[str, str]:
    ended = run(*words)
    assert ended.code == 2, ended.document
    assert not ended.reads and not list(Path().iterdir())
    return str(ended.document["error"]), str(ended.document["hint"])


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ([*TRAIN, "--minutes", "inf"], "--minutes cannot be inf"),
        ([*TRAIN, "--minutes", "nan"], "--minutes"),
        ([*TRAIN, "--minutes", "1", "--set", "lr=Infinity"], "lr must be a number"),
        ([*TRAIN, "--minutes", "1", "--set", "lr=1e999"], "lr must be a number"),
        (["deploy", *SEARCH[1:], "--minutes", "inf"], "--minutes cannot be inf"),
        ([*SEARCH, "--table", "t.json", "--time-limit", "inf"], "--time-limit cannot be inf"),
        (["benchmark", "engine", "--seconds", "nan"], "--seconds"),
        ([*VALIDATE, "--fps", "inf"], "--fps cannot be inf"),
        ([*VALIDATE, "--fps", "30", "--seconds", "inf"], "--seconds cannot be inf"),
        ([*VALIDATE, "--budget", "1s", "--max-miou-drop", "nan"], "--max-miou-drop"),
        ([*VALIDATE, "--fps", "30", "--max-missed", "5"], "--max-missed 5 is 500%"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_numbers_that_are_none(words: list[str], option: str) -> None:
    assert option in refused(*words)[0]


@pytest.mark.parametrize(
    ("words", "said", "advice"),
    [
        (["profile", "-o", "t.json", "--size", SIZE, "--genotype", "enet"], "--genotype would do nothing", "--missing"),
        (
            ["profile", "-o", "t.json", "--missing", "--engine", "openvino", "--threads", "1", "--pin", "0"],
            "--engine, --threads, --pin would do nothing",
            "leave",
        ),
        (["profile", "-o", "t.json", "--missing", "--size", SIZE], "--size would do nothing", "leave"),
        (
            ["profile", "-o", "t.json", "--missing", "--genotype", "enet", "--space", SPACE],
            "--space would do nothing",
            "one of them",
        ),
        (
            ["draw", "enet", "--diff", "fast-scnn", "-o", "p", "--color", "macs", "--detail", "nodes"],
            "--color, --detail would do nothing",
            "by itself",
        ),
        (
            ["draw", "enet", "--diff", "fast-scnn", "-o", "p", "--receptive-field", "auto"],
            "--receptive-field would do nothing",
            "by itself",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_that_would_do_nothing(words: list[str], said: str, advice: str) -> None:
    message, hint = refused(*words)
    assert said in message and advice in hint


def test_a_folder_of_pictures_is_not_named_like_one(in_an_empty_folder: Path) -> None:
    ended = run("draw", "enet", "-o", "enet.pdf")
    assert ended.code == 2 and "enet.pdf is to be a folder" in ended.document["error"]
    assert "-o enet --format pdf" in ended.document["hint"] and not Path("enet.pdf").exists()
    ended = run("explain", "enet", "-o", "enet.svg")
    assert ended.code == 2 and ended.document["hint"] == "name a folder: -o enet"


def test_a_part_to_keep_is_a_prefilters() -> None:
    with pytest.raises(HwnasError, match="--keep is of a pre-filter"):
        check_options(EvaluatorOptions(keep=0.25))


def test_cores_are_of_workers(in_an_empty_folder: Path) -> None:
    save_table(synthetic_table(2), Path("t.json"))
    ended = run(*SEARCH, "--table", "t.json", "--worker-cpus", "4")
    assert ended.code == 2 and "--worker-cpus is for workers" in ended.document["error"]


def test_colours_are_of_a_table_of_that_size(in_an_empty_folder: Path) -> None:
    save_table(synthetic_table(2), Path("t.json"))
    ended = run("draw", "fast-scnn", "--table", "t.json", "--size", "128x192", "-o", "p")
    assert ended.code == 2 and "size_hw: (64, 96) in the table" in ended.document["error"]
    assert "--force" in ended.document["hint"] and not Path("p").exists()
