"""Processes of a group that compute nothing, and so need no torch."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hwnas.training.group import Group


def raising(group: Group) -> None:
    raise MemoryError("no room for the network")


def waiting(folder: Path, group: Group) -> None:
    """Goes on for ever."""
    (folder / "pid").write_text(str(os.getpid()))
    group.meet()
    signal.pause()
