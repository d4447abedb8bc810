"""Results of evaluations kept in a file: what was evaluated once is never evaluated again, by this run or another.

The file has one JSON document a line, appended at once under a lock, so that several runs may share it and a killed one
loses nothing. The key is everything that decides a result (:meth:`IdentifiedEvaluator.identity`): the candidate's
fingerprint, its recipe, the data, the seed, the fidelity. What failed for want of memory or time is not kept.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from hwnas.errors import RunError
from hwnas.search.evaluators.base import IdentifiedEvaluator, existing, lasting
from hwnas.search.evaluators.training import key_of
from hwnas.search.strategy import Outcome, Request

FILE = "evaluations.jsonl"
"""What the file is called in a run directory."""
VERSION = 1
"""Raised whenever an evaluation of the same identity would give another result."""


@dataclass(frozen=True)
class Entry:
    """A kept result. ``seconds`` is what it took."""

    identity: Mapping[str, Any]
    values: Mapping[str, float]
    status: str
    note: str
    checkpoint: str | None
    seconds: float


class EvaluationFile:
    """The results in one file, read as they are appended, by whomever."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_to = 0
        self._entries: dict[str, Entry] = {}

    def get(self, key: str) -> Entry | None:
        """The result with this key, also if another process has just written it."""
        if key not in self._entries:
            self._read_on()
        return self._entries.get(key)

    def add(self, key: str, entry: Entry) -> None:
        """Append a result; RunError where the file cannot be written."""
        document = {"version": VERSION, "key": key, **vars(entry)}
        line = json.dumps(document, allow_nan=False).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                if (end := stream.seek(0, os.SEEK_END)) > 0:
                    stream.seek(end - 1)
                    if stream.read(1) != b"\n":  # a killed process left half a line: it is skipped when read
                        line = b"\n" + line
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise RunError(
                f"cannot write the evaluations {self.path}: {error.strerror or error}",
                "free some space, then continue with --resume",
            ) from error
        self._entries[key] = entry

    def _read_on(self) -> None:
        """Take in the whole lines behind those that were read; what is no record of this version is left out."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._read_to)
                text = stream.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise RunError(f"cannot read the evaluations {self.path}: {error.strerror or error}") from error
        whole = text[: text.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            parsed = _entry_of(line)
            if parsed is not None:
                self._entries[parsed[0]] = parsed[1]


def _entry_of(line: bytes) -> tuple[str, Entry] | None:
    try:
        document = json.loads(line)
        if document.pop("version") != VERSION:
            return None
        return str(document.pop("key")), Entry(**document)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


class Cached:
    """``inner``'s results, from the file where it has them.

    A result that left a checkpoint counts only while that is there.
    """

    def __init__(
        self,
        inner: IdentifiedEvaluator,
        file: EvaluationFile,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner, self._file, self._clock = inner, file, clock

    def evaluate(self, request: Request) -> Outcome:
        identity = self.identity(request)
        key = key_of(identity)
        entry = self._file.get(key)
        if entry is not None and (entry.checkpoint is None or existing(entry.checkpoint)):
            status: Any = entry.status
            return Outcome(request, entry.values, status, entry.note, entry.checkpoint)
        start = self._clock()
        outcome = self._inner.evaluate(request)
        if lasting(outcome):
            values = {name: float(value) for name, value in outcome.values.items() if isfinite(value)}
            seconds = round(self._clock() - start, 3)
            kept = Entry(identity, values, outcome.status, outcome.note, outcome.checkpoint, seconds)
            self._file.add(key, kept)
        return outcome

    def identity(self, request: Request) -> Mapping[str, Any]:
        return self._inner.identity(request)

    def kept(self, request: Request) -> Entry | None:
        """The result on file, with what it took."""
        return self._file.get(key_of(self.identity(request)))
