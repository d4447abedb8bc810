"""A run directory: who is at work in it, what it was started with, and which stages are done.

``config.json`` marks a directory as a run; ``stages.json`` holds a stamp for each finished stage; ``.lock`` is held
(by ``flock``, so that the kernel releases it however its holder ends) while a command works there.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from hwnas import __version__
from hwnas.clock import Clock
from hwnas.errors import RunError
from hwnas.files import read_json, sha256_of, write_json

SCHEMA_VERSION = 1
KIND = "hwnas-run"
CONFIG, STAGES, LOCK = "config.json", "stages.json", ".lock"


class RunDir:
    """An open run directory; use it as a context manager. ``config`` is the configuration it was started with.

    ``clock`` counts the seconds of its stages.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], lock: int | None, clock: Clock = time.monotonic) -> None:
        self.path = path
        self.config = config
        self._lock = lock
        self._clock = clock

    @classmethod
    def open(
        cls,
        path: Path,
        config: Mapping[str, Any],
        *,
        resume: bool = False,
        may_differ: Collection[str] = (),
        clock: Clock = time.monotonic,
    ) -> RunDir:
        """Start a run in a new or empty directory, or ``resume`` one that was started with the same ``config``.

        ``config`` is JSON; its fields named in ``may_differ`` (top level) are not compared. Raises RunError if the
        directory is busy, holds a run and ``resume`` is not given, holds another configuration, or is not a run's.
        """
        wanted: dict[str, Any] = json.loads(json.dumps(dict(config)))
        _check_place(path, resume)
        lock = _acquire(path)
        try:
            if not (path / CONFIG).exists():
                _write_config(path, wanted)
            elif not resume:
                raise RunError(
                    f"{path} already holds a run", "continue it with --resume, or choose another directory with --run"
                )
            recorded = read_config(path)
            _compare(path, recorded, wanted, may_differ)
            return cls(path, recorded, lock, clock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def join(cls, path: Path, config: Mapping[str, Any], *, may_differ: Collection[str] = ()) -> RunDir:
        """A run that another process is at work on, to take part in; its files are that one's to write.

        RunError if there is no run, or one of another configuration.
        """
        if not path.exists():
            raise RunError(f"there is no run to join in {path}", "check the path, or leave out --join to begin one")
        _check_place(path, resume=True)
        recorded = read_config(path)
        _compare(path, recorded, json.loads(json.dumps(dict(config))), may_differ)
        return cls(path, recorded, None)

    @classmethod
    def look(cls, path: Path) -> RunDir:
        """A run's directory, or a folder with copies of some of its files, to read from: nothing is locked."""
        return cls(path, {}, None)

    def close(self) -> None:
        """Let go of the directory; others may then open it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> RunDir:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __truediv__(self, name: str) -> Path:
        """``run / "table.json"``: the path of a file of the run."""
        return self.path / name

    def fingerprints(self, *names: str) -> dict[str, str]:
        """SHA-256 of files of this run, by name: what a stage that reads them gives as its inputs."""
        return {name: sha256_of(self.path / name) for name in names}

    def stage(
        self, name: str, work: Callable[[], object], *, inputs: Mapping[str, Any], outputs: Sequence[str]
    ) -> bool:
        """Do ``work`` unless the stage is done; stamp it after. Returns whether it was done now.

        ``inputs`` are settings and :meth:`fingerprints` of what the stage reads; ``outputs`` the files it writes. A
        stage is done if its stamp has the same inputs and its outputs are there, unchanged.
        """
        if self.is_done(name, inputs):
            return False
        start = self._clock()
        work()
        self.stamp(name, inputs, outputs, self._clock() - start)
        return True

    def is_done(self, name: str, inputs: Mapping[str, Any]) -> bool:
        """Whether the stage has a stamp with these inputs and all its outputs are as it left them."""
        stamp = self.stamps().get(name)
        if stamp is None or stamp["inputs"] != json.loads(json.dumps(dict(inputs))):
            return False
        return all(
            (self.path / output).is_file() and sha256_of(self.path / output) == digest
            for output, digest in stamp["outputs"].items()
        )

    def stamp(self, name: str, inputs: Mapping[str, Any], outputs: Sequence[str], seconds: float) -> None:
        """Record a stage as done."""
        stages = self.stamps()
        stages[name] = {
            "inputs": dict(inputs),
            "outputs": self.fingerprints(*outputs),
            "done_at": _now(),
            "seconds": round(seconds, 3),
        }
        write_json(self.path / STAGES, {"schema_version": SCHEMA_VERSION, "stages": stages})

    def stamps(self) -> dict[str, dict[str, Any]]:
        """The stamps of the finished stages, by name."""
        return read_stamps(self.path)

    def seconds(self) -> float:
        """What the finished stages took, in all lives of the run."""
        return float(sum(stamp["seconds"] for stamp in self.stamps().values()))


def read_config(path: Path) -> dict[str, Any]:
    """The configuration that the run in ``path`` was started with; RunError if it is not a run of this version."""
    document = read_json(path / CONFIG, "run configuration")
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise RunError(f"{path} is not a run directory: {CONFIG} there is something else", "choose another directory")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise RunError(
            f"the run in {path} has schema {document.get('schema_version')}, this hwnas reads {SCHEMA_VERSION}",
            "use the version that made it, or start again in another directory",
        )
    config: dict[str, Any] = document["config"]
    return config


def read_stamps(path: Path) -> dict[str, dict[str, Any]]:
    """The stamps of a run's finished stages, by name."""
    if not (path / STAGES).exists():
        return {}
    document = read_json(path / STAGES, "record of stages")
    try:
        stages: dict[str, dict[str, Any]] = document["stages"]
        complete = all({"inputs", "outputs", "done_at", "seconds"} <= set(stamp) for stamp in stages.values())
    except (TypeError, KeyError, AttributeError):
        complete = False
    if not complete:
        raise RunError(f"the record of stages {path / STAGES} is damaged", "delete it: the stages are then run again")
    return stages


def _check_place(path: Path, resume: bool) -> None:
    """Refuse before anything is written where nothing of ours may be."""
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file, not a run directory", "choose another place with --run")
    if not path.exists():
        if resume:
            raise RunError(f"there is no run to resume in {path}", "check the path, or leave out --resume")
        return
    names = {item.name for item in path.iterdir()} - {LOCK}
    if names and CONFIG not in names and not all(name.startswith(f".{CONFIG}.") for name in names):
        raise RunError(
            f"{path} holds things that are not a run ({sorted(names)[0]}, …)", "choose an empty or new directory"
        )
    if CONFIG in names:
        read_config(path)


def _acquire(path: Path) -> int:
    """Take the lock and say who has it. (A forked child shares it: the directory is free when all of them are gone.)"""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RunError(f"cannot use {path} as a run directory: {error.strerror}", "choose another place") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(lock)
        os.close(lock)
        raise RunError(
            f"run directory {path} is already running ({holder})", "wait for it, or choose another with --run"
        ) from error
    note = {"pid": os.getpid(), "host": socket.gethostname(), "started": _now()}
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(note).encode(), 0)
    except OSError as error:
        os.close(lock)
        raise RunError(f"cannot write in {path}: {error.strerror}", "free some space") from error
    return lock


def _holder(lock: int) -> str:
    try:
        note = json.loads(os.pread(lock, 4096, 0))
        return f"pid {note['pid']} on {note['host']}, since {note['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "pid unknown"


def _write_config(path: Path, config: Mapping[str, Any]) -> None:
    document = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "started_at": _now(),
        "config": config,
    }
    write_json(path / CONFIG, document)


def _compare(path: Path, recorded: Mapping[str, Any], wanted: Mapping[str, Any], may_differ: Collection[str]) -> None:
    for field, was, now in differences(recorded, wanted):
        if field.split(".")[0] not in may_differ:
            raise RunError(
                f"the run in {path} was started with {field} = {was}, not {now}",
                "resume it with the same settings, or start another run directory",
            )


def differences(
    recorded: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    """(dotted field, recorded, wanted; both as JSON) wherever two JSON documents differ, in order of the fields."""
    for name in sorted(set(recorded) | set(wanted)):
        was, now = recorded.get(name), wanted.get(name)
        if isinstance(was, dict) and isinstance(now, dict):
            yield from differences(was, now, f"{prefix}{name}.")
        elif was != now:
            yield prefix + name, json.dumps(was), json.dumps(now)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
