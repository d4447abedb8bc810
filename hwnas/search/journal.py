"""The journal file that a study lives in: opened safely after whatever happened to the process that wrote it.

Optuna appends one JSON document a line. A process that is killed can leave a torn last line, which Optuna would append
to, damaging the file for good; and a lock, which others would wait for. Both are mended here before Optuna opens the
file. Only the one process that owns the run directory may do so.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import RunError

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

TAIL_BYTES = 1 << 20
"""How much of the end of a journal is looked at; one record has some kilobytes."""

LOCK_HELD_S = 0.5
"""An append holds the lock for milliseconds; one that is held this long without a change is nobody's."""


def open_journal(path: Path) -> JournalStorage:
    """Optuna's storage over the journal ``path``, created if missing, mended if its writer was killed.

    RunError if it is damaged anywhere but at its end.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    path = path.absolute()  # the lock is a symlink to it: of a relative one Optuna can never tell the age
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        break_stale_lock(path)
        if path.exists():
            mend_tail(path)
        lock = JournalFileSymlinkLock(str(path), grace_period=10)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except OSError as error:
        raise RunError(f"cannot open the study {path}: {error.strerror or error}", "check the folder") from error
    except (ValueError, LookupError, AssertionError) as error:
        if isinstance(error, RunError):
            raise
        raise _damaged(path, str(error) or "unknown operation") from error


def mend_tail(path: Path) -> int:
    """Make the last line whole: finish it if only its newline is missing, else cut it off. Returns the bytes cut.

    A line that was never whole was never acknowledged, so nothing that was recorded is lost.
    """
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = stream.seek(max(0, size - TAIL_BYTES))
        tail = stream.read()
        keep = len(tail)
        while keep and not _is_record(tail[(begin := tail.rfind(b"\n", 0, keep - 1) + 1) : keep]):
            keep = begin
        torn = tail[keep:]
        if torn.count(b"\n") > 1 or (keep == 0 and (start or not b'{"op_code"'.startswith(torn[:10]))):
            raise _damaged(path, "it does not end in records")
        if torn:
            stream.truncate(start + keep)
        if keep and tail[keep - 1 : keep] != b"\n":
            stream.seek(start + keep)
            stream.write(b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    return len(torn)


def break_stale_lock(path: Path) -> None:
    """Remove the lock that a killed process left on the journal; wait for one that is alive."""
    for leftover in path.parent.glob(f"{path.name}.lock*.rename"):
        leftover.unlink(missing_ok=True)
    lock = path.with_name(path.name + ".lock")
    held = _identity(lock)
    since = time.monotonic()
    while held is not None:
        time.sleep(0.01)
        now = _identity(lock)
        if now != held:
            held, since = now, time.monotonic()
        elif time.monotonic() - since > LOCK_HELD_S:
            lock.unlink(missing_ok=True)
            return


def _identity(lock: Path) -> tuple[int, int] | None:
    try:
        found = lock.lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _is_record(line: bytes) -> bool:
    try:
        document = json.loads(line)
    except ValueError:
        return False
    return isinstance(document, dict) and "op_code" in document


def _damaged(path: Path, why: str) -> RunError:
    return RunError(
        f"the study {path} is damaged: {why}", "restore it from a copy, or start again in another run directory"
    )
