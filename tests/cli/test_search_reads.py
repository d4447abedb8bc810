"""The images that a network is judged on are never looked at while it is searched for: a search opens none of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_world import SIZE, SPACE, folder_data

from hwnas.cli.main import main
from hwnas.data.base import Read, open_dataset, read, record_reads


@pytest.fixture(scope="module")
def opened_files() -> Iterator[list[str]]:
    """Every path that this process opens, whatever library opens it, by Python's own audit events."""
    paths: list[str] = []
    listening = True

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "open" and isinstance(arguments[0], str):
            paths.append(arguments[0])

    sys.addaudithook(note)  # one can never be taken away again, only told to be quiet
    yield paths
    listening = False


def test_search_opens_no_file_of_val(
    small_table: Path, tmp_path: Path, opened_files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder_data(tmp_path / "data")
    opened_files.clear()  # of making the data
    words = ["search", "--data", data, "--size", SIZE, "--space", SPACE, "--budget", "100ms", "--minutes", "0.1"]
    words += ["--confidence", "0.9"]
    with record_reads() as reads:
        code = main([*words, "--table", str(small_table), "--run", str(tmp_path / "run"), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err + out
    found = json.loads(out)
    assert found["evaluations"] > 0 and found["steps"] > 0
    assert found["confidence"] == 0.9 and found["limit_ms"] == pytest.approx(75.0)  # no unseen nets: ±25%

    assert {each.split for each in reads} == {"train"}
    paths = [Path(path) for path in opened_files if path.endswith(".png")]
    images = {path.relative_to(tmp_path / "data").parts[:2] for path in paths}
    assert images == {("images", "train"), ("masks", "train")}


def test_a_look_at_val_would_be_seen(tmp_path: Path, opened_files: list[str]) -> None:
    """That the test above is able to fail."""
    dataset = open_dataset(folder_data(tmp_path / "data"))
    item = dataset.items("val")[0]
    opened_files.clear()
    with record_reads() as reads:
        read(dataset, item)
    assert Read("val", str(item.image)) in reads
    assert str(item.image) in opened_files and str(item.mask) in opened_files
