"""The processes that work on one study, and which of them are still alive.

A member writes a note of itself into the study when it joins, and again every :data:`BEAT_S` seconds. One on the same
machine is alive if its process is; one elsewhere if it was heard of within :data:`SILENT_S` seconds, for which the
clocks of the machines must agree to about a minute.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

BEAT_S = 20.0
SILENT_S = 180.0
"""Longer than a storage may be away for a minute, and a member's note with it."""


@dataclass(frozen=True)
class Member:
    """A process at work on a study. ``stream``: whose requests it asks for; ``beat``: when it was heard of last."""

    number: int
    stream: int
    machine: str
    pid: int
    started: str
    """When the process began, as its machine counts: another process that has got the same pid has another."""
    beat: float
    left: bool = False

    @classmethod
    def here(cls, number: int, stream: int) -> Member:
        """This process."""
        pid = os.getpid()
        return cls(number, stream, machine(), pid, _started(pid), time.time())

    def alive(self) -> bool:
        """Whether it may still be at work.

        This process itself is not: it has one member at a time, and an earlier one of it has ended.
        """
        if self.left:
            return False
        if self.machine == machine():
            return self.pid != os.getpid() and _started(self.pid) == self.started != ""
        return time.time() - self.beat < SILENT_S

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.machine.split('/')[0]}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Member:
        """The inverse of :meth:`to_dict`."""
        return cls(**document)


@cache
def machine() -> str:
    """Names what process ids are counted on: host, its boot, and the container, as far as they can be read."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115  (not a path: "pid:[4026531836]")
    except OSError:
        pass
    return "/".join(parts)


def _started(pid: int) -> str:
    """When the process ``pid`` of this machine began; empty if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self").exists() else _exists(pid)
    return "" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> str:
    """The same, as far as it can be told without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"
