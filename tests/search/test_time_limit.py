"""The tests of ``alarms.py``, in a process of their own: after hundreds of other tests, with all that they have loaded,
a process may die of an alarm (seen, not explained)."""

from __future__ import annotations

from pathlib import Path

from fresh_processes import pass_alone


def test_alarms_in_a_process_of_their_own() -> None:
    pass_alone(Path(__file__).with_name("alarms.py"))
