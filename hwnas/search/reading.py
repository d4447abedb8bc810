"""A study as it is, read without taking part in it: nothing is locked, mended or made.

What cannot be read of a damaged journal or SQLite file is left out and told of; the rest is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hwnas.errors import MissingPackage, RunError
from hwnas.search.database import INSTALL, damaged_database, is_url, sqlite_path, storage_url, without_password
from hwnas.search.salvage import SalvagedTables, is_damaged
from hwnas.search.trial import CLAIM, COSTS, FINGERPRINT, OUTCOME, REQUEST

IDENTITY, CONTRACT, WORK = "hwnas", "contract", "work"
"""User attributes of a study: what it is of, the timing contract of its latencies, and what a worker must know."""

NEEDED = (REQUEST, FINGERPRINT, COSTS)

CREATE_STUDY, SET_STUDY_ATTRIBUTE, CREATE_TRIAL, SET_TRIAL_ATTRIBUTE = 0, 2, 4, 8
"""Operations in Optuna's journals."""


@dataclass(frozen=True)
class ReadTrial:
    """A trial as the storage has it. ``status``: ``ok``, ``infeasible``, ``failed``, or ``running`` without outcome."""

    number: int
    begun_at: str
    attrs: Mapping[str, Any] = field(hash=False)

    @property
    def outcome(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.attrs.get(OUTCOME) or {}
        return found

    @property
    def status(self) -> str:
        return str(self.outcome.get("status", "running"))

    @property
    def values(self) -> Mapping[str, float]:
        """What was measured and what was known before, by name."""
        return {**self.attrs[COSTS], **self.outcome.get("values", {})}

    def to_dict(self) -> dict[str, Any]:
        """All of it, as one JSON object."""
        request, claim = self.attrs[REQUEST], self.attrs.get(CLAIM, {})
        return {
            "number": self.number,
            "status": self.status,
            "note": self.outcome.get("note", ""),
            "values": dict(self.values),
            "costs": dict(self.attrs[COSTS]),
            "fidelity": request["fidelity"],
            "continue_from": request["continue_from"],
            "checkpoint": self.outcome.get("checkpoint"),
            "attempts": claim.get("attempts", 1),
            "stream": request.get("stream", 0),
            "member": claim.get("member", 0),
            "told": self.outcome.get("told"),
            "begun_at": self.begun_at,
            "duration_s": self.outcome.get("duration_s"),
            "seed": self.attrs.get("seed"),
            "version": self.attrs.get("version"),
            "contract": self.attrs.get("contract", ""),
            "fingerprint": self.attrs[FINGERPRINT],
            "decisions": request["decisions"],
            "recipe": self.attrs.get("recipe", {}),
            "genotype": self.attrs.get("genotype"),
        }


@dataclass(frozen=True)
class StudyReading:
    """What a storage holds of a study. ``faults`` say what could not be read."""

    where: str
    name: str
    identity: Mapping[str, Any]
    contract: Mapping[str, Any] | None
    trials: tuple[ReadTrial, ...]
    faults: tuple[str, ...] = ()
    work: Mapping[str, Any] | None = None

    @property
    def metrics(self) -> Mapping[str, str]:
        """What the search was after: metric → ``max`` or ``min``."""
        found: Mapping[str, str] = self.identity.get("metrics", {})
        return found


def read_study(where: Path | str, name: str | None = None) -> StudyReading:
    """The study ``name``, or the only one, in a journal file or at a storage URL.

    RunError if there is none, or several and no name; MissingPackage if the database's driver is not installed.
    """
    if isinstance(where, str) and is_url(where):
        return _read_database(where, name)
    path = Path(where)
    if not path.is_file():
        raise RunError(f"there is no study {path}", "check the path: searches keep theirs in RUN/study.journal")
    return _read_journal(path, name)


def _read_journal(path: Path, name: str | None) -> StudyReading:
    journal = _Journal()
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not journal.take(line, number):
                break
    study = _chosen({number: found["name"] for number, found in journal.studies.items()}, name, str(path))
    trials = [(found["begun_at"], found["attrs"]) for found in journal.trials if found["study"] in (study, None)]
    numbered = [(number, begun_at, attrs) for number, (begun_at, attrs) in enumerate(trials)]
    found = journal.studies[study]
    return _reading(str(path), found["name"], found["attrs"], numbered, journal.faults)


class _Journal:
    """Replays the records that matter here. A trial is known by its place among all that were made."""

    def __init__(self) -> None:
        self.studies: dict[int, dict[str, Any]] = {}
        self.trials: list[dict[str, Any]] = []
        self.faults: list[str] = []

    def take(self, line: bytes, number: int) -> bool:
        """Take in a line; False if what follows it cannot be told apart any more."""
        try:
            log = json.loads(line)
            self._apply(log, log["op_code"])
        except (ValueError, TypeError, LookupError, AttributeError):
            if not line.endswith(b"\n"):
                return True  # the last line, which is being written or was cut off by a kill
            self.faults.append(f"line {number} is damaged")
            if line.startswith(b'{"op_code":%d,' % CREATE_TRIAL):
                self.trials.append({"study": None, "begun_at": "", "attrs": {}})
            elif not line.startswith(b'{"op_code":'):
                self.faults.append(f"nothing after line {number} can be told apart")
                return False
        return True

    def _apply(self, log: Mapping[str, Any], operation: int) -> None:
        if operation == CREATE_STUDY:
            self.studies[len(self.studies)] = {"name": log["study_name"], "attrs": {}}
        elif operation == SET_STUDY_ATTRIBUTE:
            self.studies[log["study_id"]]["attrs"].update(log["user_attr"])
        elif operation == CREATE_TRIAL:
            begun_at, attrs = log.get("datetime_start") or "", dict(log.get("user_attrs", {}))
            self.trials.append({"study": log["study_id"], "begun_at": begun_at, "attrs": attrs})
        elif operation == SET_TRIAL_ATTRIBUTE:
            self.trials[log["trial_id"]]["attrs"].update(log["user_attr"])


class Tables(Protocol):
    """Rows of a database."""

    def rows(self, table: str, columns: Sequence[str], having: str = "") -> Iterable[tuple[Any, ...]]:
        """The ``columns`` of a table; ``having`` is a condition on them, and rows that break it may come too."""


class ServerTables:
    """Of a database that is whole."""

    def __init__(self, url: str) -> None:
        import sqlalchemy

        self._engine = sqlalchemy.create_engine(url)

    def rows(self, table: str, columns: Sequence[str], having: str = "") -> Iterator[tuple[Any, ...]]:
        import sqlalchemy

        query = f"SELECT {', '.join(columns)} FROM {table}" + (f" WHERE {having}" if having else "")
        with self._engine.connect() as connection:
            for row in connection.execute(sqlalchemy.text(query)):
                yield tuple(row)

    def close(self) -> None:
        self._engine.dispose()


def _read_database(url: str, name: str | None) -> StudyReading:
    from sqlalchemy.exc import SQLAlchemyError

    shown, full = without_password(url), storage_url(url)
    kind = full.partition(":")[0].partition("+")[0]
    if kind == "sqlite":
        path = sqlite_path(full)
        if not path.is_file():
            raise RunError(f"there is no study {shown}: no file {path}", "check the path")
        if is_damaged(path):
            with closing(SalvagedTables(path)) as salvaged:
                if not any(True for _ in salvaged.rows("trials", ("study_id",))):
                    raise RunError(
                        f"{path} is no SQLite database, or nothing in it can be read", "restore it from a copy"
                    )
                return _read_tables(salvaged, shown, name, lambda: salvaged.faults(damaged_database(shown, full).hint))
    try:
        with closing(ServerTables(full)) as tables:
            return _read_tables(tables, shown, name, list)
    except ImportError as error:
        raise MissingPackage(f"the driver for {kind} is not installed ({error})", INSTALL.get(kind, "")) from error
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        hint = "check the address, the user and the password, and that a search was recorded there"
        raise RunError(f"cannot read the study in {shown}: {reason}", hint) from error


def _read_tables(tables: Tables, where: str, name: str | None, faults: Any) -> StudyReading:
    names = {int(study): str(text) for study, text in tables.rows("studies", ("study_id", "study_name"))}
    if isinstance(tables, SalvagedTables) and not names:
        names = {int(study): f"study {study}" for (study,) in tables.rows("trials", ("study_id",))}
    chosen = _chosen(names, name, where)
    attrs: dict[str, Any] = {}
    for study, key, text in tables.rows("study_user_attributes", ("study_id", "key", "value_json")):
        if study == chosen:
            _put(attrs, key, text)
    trials: dict[int, tuple[int, str]] = {}
    columns = ("trial_id", "study_id", "number", "datetime_start")
    for trial, study, number, begun_at in tables.rows("trials", columns, f"study_id = {chosen}"):
        if study == chosen:
            trials[trial] = (number, str(begun_at or ""))
    known: dict[int, dict[str, Any]] = {trial: {} for trial in trials}
    having = f"trial_id IN (SELECT trial_id FROM trials WHERE study_id = {chosen})"
    for trial, key, text in tables.rows("trial_user_attributes", ("trial_id", "key", "value_json"), having):
        if trial in known:
            _put(known[trial], key, text)
    numbered = [(*trials[trial], known[trial]) for trial in sorted(trials, key=lambda trial: trials[trial][0])]
    return _reading(where, names[chosen], attrs, numbered, faults())


def _put(attrs: dict[str, Any], key: Any, text: Any) -> None:
    """Add an attribute; of a damaged page it may be anything."""
    try:
        attrs[str(key)] = json.loads(text)
    except (ValueError, TypeError):
        return


def _chosen(names: Mapping[int, str], name: str | None, where: str) -> int:
    """The study that is meant."""
    if not names:
        raise RunError(f"{where} holds no study", "has a search been started there?")
    if name is None and len(names) == 1:
        return next(iter(names))
    for study, text in names.items():
        if text == name:
            return study
    there_are = f"there are: {', '.join(sorted(names.values())[:20])}"
    if name is None:
        raise RunError(f"{where} holds {len(names)} studies", f"say which with --study; {there_are}")
    raise RunError(f"{where} holds no study called {name!r}", there_are)


def _reading(
    where: str,
    name: str,
    attrs: Mapping[str, Any],
    numbered: Sequence[tuple[int, str, Mapping[str, Any]]],
    faults: Sequence[str],
) -> StudyReading:
    ours = [ReadTrial(*each) for each in numbered if all(key in each[2] for key in NEEDED)]
    lost = [each for each in numbered if not all(key in each[2] for key in NEEDED)]
    told = list(faults)
    if faults and lost:
        told.append(f"{len(lost)} of {len(numbered)} trials have lost what they are of")
    return StudyReading(
        where, name, attrs.get(IDENTITY, {}), attrs.get(CONTRACT), tuple(ours), tuple(told), attrs.get(WORK)
    )
