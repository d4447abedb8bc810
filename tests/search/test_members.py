"""Which processes that noted themselves in a study are still at work."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from multiprocessing.connection import Connection

from fresh_processes import FRESH

from hwnas.search.members import SILENT_S, Member


def note_and_sleep(there: Connection) -> None:
    there.send(Member.here(3, 1))
    time.sleep(60)


def child() -> tuple[Member, multiprocessing.process.BaseProcess]:
    """A process that sleeps, and its note."""
    here, there = FRESH.Pipe()
    process = FRESH.Process(target=note_and_sleep, args=(there,), daemon=True)
    process.start()
    return here.recv(), process


def test_process_of_this_machine_is_alive_until_it_ends() -> None:
    member, process = child()
    assert member.alive()
    assert replace(member, beat=0.0).alive(), "its silence does not matter here"
    assert not replace(member, started="1").alive(), "another process with its pid"
    assert not replace(member, left=True).alive()
    process.kill()
    process.join()
    assert not member.alive()


def test_an_earlier_member_of_this_process_is_not_alive() -> None:
    assert not Member.here(0, 0).alive()


def test_process_elsewhere_is_alive_while_it_is_heard_of() -> None:
    elsewhere = replace(Member.here(0, 0), machine="another")
    assert elsewhere.alive()
    assert not replace(elsewhere, beat=time.time() - SILENT_S - 1).alive()
    assert str(replace(elsewhere, machine="node7/boot/pid:[1]")) == f"pid {os.getpid()} on node7"


def test_note_comes_back_as_it_was() -> None:
    member = Member.here(2, 1)
    assert Member.from_dict(member.to_dict()) == member
