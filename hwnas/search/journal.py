"""The journal file that a study lives in: opened safely after whatever happened to the processes that wrote it.

Optuna appends one JSON document a line. A process that is killed can leave a torn last line, which Optuna would append
to, damaging the file for good; and a lock, which others would wait for. Both are mended by whoever writes next, under a
lock of the kernel's (``flock`` on the journal), which ends with the process that holds it. Several processes may work
on one journal; a network file system must know ``flock`` for that (NFS 4 does).
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError, RunError
from hwnas.search.trial import REQUEST, Record

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, JournalStorage
    from optuna.trial import FrozenTrial

TAIL_BYTES = 1 << 20
"""How much of the end of a journal is looked at; one record has some kilobytes."""

LOCK_HELD_S = 0.5
"""An append holds Optuna's lock for milliseconds; one that is held this long without a change is nobody's."""

REPEATABLE = (4, 6)
"""Optuna's records of a new trial and of a trial's state. An outcome is written after the first, and brings it to the
disk; the second follows from the outcome, and is written again when the study is opened."""

NOT_KEPT = ("genotype", "recipe")
"""Attributes of trials that a search does not look at again; 20,000 of them would fill its memory."""


class JournalStore:
    """The study ``name`` in the journal ``path``, created if missing, mended if a writer was killed.

    RunError if it is damaged anywhere but at its end.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.where = str(path)
        self.name = name
        self._path = path.absolute()  # Optuna's lock is a symlink to it
        self._lock = JournalLock(self._path)
        self._changed: set[int] = set()
        self._known: set[int] = set()
        self._seen = 0
        self.storage: BaseStorage = self._opened()

    def _opened(self) -> JournalStorage:
        from optuna.storages import JournalStorage

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self.exclusive():
                mend_tail(self._path)
                return JournalStorage(_backend(self._path, self._lock, self._changed))
        except OSError as error:
            reason = error.strerror or error
            raise RunError(f"cannot open the study {self.where}: {reason}", "check the folder") from error
        except HwnasError:
            raise
        except (ValueError, LookupError, AssertionError) as error:
            raise _damaged(self._path, str(error) or "unknown operation") from error

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No other process writes meanwhile. Everything is written within it."""
        self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def changes(self, study_id: int) -> list[Record]:
        """Our trials that are new or have changed since the last call."""
        new = list(self._new(study_id)) if self._seen else self.storage.get_all_trials(study_id, deepcopy=False)
        self._seen += len(new)
        fresh = {frozen._trial_id for frozen in new}
        changed = self._touched() - fresh
        found = [_record(frozen) for frozen in new if REQUEST in frozen.user_attrs]  # others are another tool's
        self._known.update(record.storage_id for record in found)
        return found + [_record(self.storage.get_trial(storage_id)) for storage_id in sorted(changed)]

    def _touched(self) -> set[int]:
        """The known trials that records have spoken of since the last call."""
        touched = set()
        while self._changed:
            touched.add(self._changed.pop())
        return touched & self._known

    def _new(self, study_id: int) -> Iterator[FrozenTrial]:
        number = self._seen
        while True:
            try:
                storage_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, number)
            except KeyError:
                return
            yield self.storage.get_trial(storage_id)
            number += 1

    def trouble(self, error: BaseException) -> RunError | None:
        """What an error means for the user, or None if it may pass when tried again."""
        if isinstance(error, OSError):
            return None if error.errno in PASSING else _unwritable(error)
        return _damaged(self._path, str(error) or "unknown operation")


PASSING = {5, 11, 16, 110, 116, 121}
"""Errors of file systems over a network that pass: EIO, EAGAIN, EBUSY, ETIMEDOUT, ESTALE, EREMOTEIO."""


def _unwritable(error: OSError) -> RunError:
    return RunError(
        f"cannot write the study: {error.strerror or error}",
        "what was recorded is safe: free some space, then continue with --resume",
    )


def _record(frozen: FrozenTrial) -> Record:
    return Record(frozen.number, frozen._trial_id, not frozen.state.is_finished(), frozen.user_attrs)


def _backend(path: Path, lock: JournalLock, changed: set[int]) -> Any:
    """A backend of Optuna's journal storage, for one storage object: quick where nothing is new."""
    from optuna.storages.journal import BaseJournalBackend

    class Backend(BaseJournalBackend):
        """Notes the trials that records speak of, and leaves out what only others read of them."""

        def __init__(self) -> None:
            self._read, self._offset = 0, 0

        def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
            assert log_number_from == self._read, "a backend serves one storage"
            if path.stat().st_size == self._offset:
                return
            with path.open("rb") as stream:
                stream.seek(self._offset)
                for line in stream:
                    if not line.endswith(b"\n"):  # being written, or torn
                        return
                    log = json.loads(line)
                    self._read, self._offset = self._read + 1, self._offset + len(line)
                    if "trial_id" in log:
                        changed.add(log["trial_id"])
                    yield _lightened(log) if "params" in log else log

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
            lock.acquire()
            try:
                lock.append(text.encode(), durable=any(log["op_code"] not in REPEATABLE for log in logs))
            finally:
                lock.release()

    return Backend()


def _lightened(log: dict[str, Any]) -> dict[str, Any]:
    """The record of a new trial without the parameters: replaying those of 20,000 trials would take a minute."""
    attrs = {name: value for name, value in log.get("user_attrs", {}).items() if name not in NOT_KEPT}
    return {**log, "params": {}, "distributions": {}, "user_attrs": attrs}


class JournalLock:
    """Held by one process at a time, and there by one thread, which may take it again.

    It is an ``flock`` on the journal, and within it Optuna's own lock, which other tools keep to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._optunas = path.with_name(path.name + ".lock")
        self._thread = threading.RLock()
        self._depth = 0
        self._file = -1
        self._optunas_taken = False

    def acquire(self) -> bool:
        self._thread.acquire()
        try:
            if self._depth == 0:
                self._take()
        except BaseException:
            self._thread.release()
            raise
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._drop()
        self._thread.release()

    def append(self, data: bytes, *, durable: bool) -> None:
        """Write at the end of the journal, while the lock is held; ``durable``: it is on the disk when this returns."""
        os.lseek(self._file, 0, os.SEEK_END)
        while data:
            data = data[os.write(self._file, data) :]
        if durable:
            os.fsync(self._file)

    def _take(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            while not self._take_optunas():
                break_stale_lock(self._path)
            size = os.lseek(self._file, 0, os.SEEK_END)
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                mend_tail(self._path)
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._optunas_taken:
            self._optunas.unlink(missing_ok=True)
        self._optunas_taken = False
        os.close(self._file)  # and with it the flock

    def _take_optunas(self) -> bool:
        try:
            self._optunas.symlink_to(self._path)
        except FileExistsError:
            return False
        self._optunas_taken = True
        return True


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
