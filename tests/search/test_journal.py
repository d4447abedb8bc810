"""Journals whose writer was killed: torn lines and stale locks are mended, damage elsewhere is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from toy_space import toy_problem

from hwnas.errors import RunError
from hwnas.search.journal import break_stale_lock, mend_tail
from hwnas.search.strategy import Outcome, Request
from hwnas.search.study import Study, open_study

DECISIONS = {f"x{i}": 1 for i in range(8)}


def opened(path: Path) -> Study:
    return open_study(path, toy_problem(), identity={}, seed=0)


def add(study: Study, number: int) -> None:
    request = Request({**DECISIONS, "x0": number}, number)
    trial = study.begin(request, f"key{number}", {"latency_ms": 5.0})
    study.finish(trial, Outcome(request, {"miou": 0.1 * number, "latency_ms": 5.0}), 0.25)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "study.journal"
    study = opened(path)
    for number in range(2):
        add(study, number)
    return path


def test_whole_journal_is_left_alone(journal: Path) -> None:
    before = journal.read_bytes()
    assert mend_tail(journal) == 0
    assert journal.read_bytes() == before


def test_every_cut_of_the_last_record_can_be_reopened_and_appended_to(journal: Path, tmp_path: Path) -> None:
    whole = journal.read_bytes()
    last = whole.rfind(b"\n", 0, len(whole) - 1) + 1
    for cut in {*range(last, len(whole), 37), last, last + 1, len(whole) - 1}:
        torn = tmp_path / f"{cut}.journal"
        torn.write_bytes(whole[:cut])
        study = opened(torn)
        assert len(study.trials) == 2
        add(study, 2)
        again = opened(torn)
        assert len(again.finished) == 3
        assert not again.orphans


def test_last_line_that_lacks_only_its_newline_is_kept(journal: Path) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-1])
    assert mend_tail(journal) == 0
    assert journal.read_bytes() == whole


def test_first_line_torn_while_the_study_was_made(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    for content in (b"", b'{"op', b'{"op_code":0,"worker'):
        path.write_bytes(content)
        assert opened(path).trials == ()


def test_line_of_zeros_after_a_power_cut_is_dropped(journal: Path) -> None:
    with journal.open("ab") as stream:
        stream.write(b"\0" * 4096)
    assert len(opened(journal).finished) == 2


def test_damage_in_the_middle_is_refused_and_nothing_is_changed(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = b'{"op_code":4,"worker_\n'
    journal.write_bytes(b"".join(lines))
    with pytest.raises(RunError, match="is damaged"):
        opened(journal)
    assert journal.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("content", [b"SQLite format 3\0 and more", b"hello\nworld\n", b'{"a": 1}\n'])
def test_file_that_is_no_journal_is_refused_and_nothing_is_changed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.journal"
    path.write_bytes(content)
    with pytest.raises(RunError, match="is damaged"):
        opened(path)
    assert path.read_bytes() == content


def test_lock_of_a_killed_process_does_not_block(journal: Path) -> None:
    lock = journal.with_name(journal.name + ".lock")
    lock.symlink_to(journal)
    start = time.monotonic()
    study = opened(journal)
    add(study, 2)
    assert time.monotonic() - start < 3
    assert not lock.is_symlink()


def test_lock_left_half_released_is_swept_up(journal: Path) -> None:
    leftover = journal.with_name(journal.name + ".lock1234.rename")
    leftover.symlink_to(journal)
    break_stale_lock(journal)
    assert not leftover.is_symlink()


def test_relative_path_works(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(journal.parent)
    Path(journal.name + ".lock").symlink_to(journal.name)
    assert len(opened(Path(journal.name)).trials) == 2
