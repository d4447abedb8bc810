"""A study in a database: SQLite, PostgreSQL, MySQL. Written through Optuna; read by one query for what is new.

Optuna's own reading brings the parameters of every trial along, which a search has no use for: its decisions are in one
attribute. The two tables that are read here have been the same since Optuna 3.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.errors import MissingPackage, RunError
from hwnas.search.trial import CLAIM, COSTS, FINGERPRINT, OUTCOME, REQUEST, Record

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}
INSTALL = {"postgresql": 'pip install "hwnas[postgres]"', "mysql": "pip install pymysql"}
KNOWN = "sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE, mysql://USER:PASSWORD@HOST/DATABASE"

FINAL = ("readonly", "read-only", "disk is full", "no space left", "no such table", "permission denied")
"""What drivers say of troubles that do not pass by themselves."""

READ_KEYS = (REQUEST, FINGERPRINT, COSTS, CLAIM, OUTCOME)

READ = """
SELECT trials.trial_id, trials.number, trials.state, attrs.key, attrs.value_json
FROM trials JOIN trial_user_attributes AS attrs ON attrs.trial_id = trials.trial_id
WHERE trials.study_id = :study AND attrs.key IN :keys AND (trials.trial_id > :last OR trials.trial_id IN :open)
ORDER BY trials.trial_id
"""


class DatabaseStore:
    """The study ``name`` in the database at ``url``. RunError if it cannot be reached, MissingPackage for a driver."""

    def __init__(self, url: str, name: str) -> None:
        self.where = without_password(url)
        self.name = name
        self._url = storage_url(url)
        self._kind = self._url.partition(":")[0].partition("+")[0]
        self._last = -1
        self._open: set[int] = set()
        self._depth = 0
        self._thread = threading.RLock()
        self.storage = self._opened()

    def _opened(self) -> RDBStorage:
        from optuna.exceptions import StorageInternalError
        from optuna.storages import RDBStorage
        from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

        options: dict[str, Any] = {"pool_pre_ping": True}
        if self._kind == "sqlite":
            options["connect_args"] = {"timeout": 60}
        elif self._kind == "postgresql":
            options["connect_args"] = {"connect_timeout": 10}
        try:
            with self._file_lock() if self._kind == "sqlite" else nothing():
                return RDBStorage(self._url, engine_kwargs=options)
        except (ImportError, NoSuchModuleError) as error:
            hint = INSTALL.get(self._kind, "")
            raise MissingPackage(f"the driver for {self._kind} is not installed ({error})", hint) from error
        except (SQLAlchemyError, StorageInternalError, RuntimeError, OSError) as error:
            raise self._unusable(error) from error

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No other process of this study writes meanwhile. Everything is written within it."""
        with self._thread:
            if self._depth:
                yield
                return
            with self._lock():
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1

    def changes(self, study_id: int) -> list[Record]:
        """Our trials that are new or have changed since the last call; the closed ones do not change."""
        import sqlalchemy

        query = sqlalchemy.text(READ).bindparams(
            sqlalchemy.bindparam("keys", READ_KEYS, expanding=True),
            sqlalchemy.bindparam("open", sorted(self._open), expanding=True),
        )
        found: dict[int, tuple[int, bool, dict[str, Any]]] = {}
        with self.storage.engine.connect() as connection:
            for storage_id, number, state, key, value in connection.execute(
                query, {"study": study_id, "last": self._last}
            ):
                is_open = state in ("RUNNING", "WAITING")
                found.setdefault(storage_id, (number, is_open, {}))[2][key] = json.loads(value)
        records = [
            Record(number, storage_id, is_open, attrs)
            for storage_id, (number, is_open, attrs) in found.items()
            if REQUEST in attrs
        ]
        self._last = max([self._last, *found])
        for record in records:
            (self._open.add if record.open else self._open.discard)(record.storage_id)
        return records

    def trouble(self, error: BaseException) -> RunError | None:
        """What an error means for the user, or None if it may pass when tried again."""
        if isinstance(error, (ValueError, LookupError, AssertionError)):
            raise error
        text = str(_root(error)).lower()
        if any(sign in text for sign in ("malformed", "not a database", "corrupt")):
            return damaged_database(self.where, self._url)
        if any(sign in text for sign in FINAL):
            return RunError(
                f"cannot write the study in {self.where}: {_first_line(error)}",
                "what was recorded is safe: mend that, then continue with --resume",
            )
        return None

    def _unusable(self, error: BaseException) -> RunError:
        text = _first_line(error)
        known = self.trouble(error)
        if known is not None:
            return known
        hint = "check the address, the user and the password, and that the database exists and is running"
        return RunError(f"cannot use the storage {self.where}: {text}", hint)

    def _lock(self) -> Any:
        return self._file_lock() if self._kind == "sqlite" else self._server_lock()

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        """A lock beside an SQLite file; SQLite's own is not held across two writes."""
        path = sqlite_path(self._url)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _server_lock(self) -> Iterator[None]:
        """A lock that the server keeps, and drops when the connection that has it ends."""
        import sqlalchemy

        digest = hashlib.sha256(f"hwnas {self.name}".encode()).digest()
        with self.storage.engine.connect() as connection:
            if self._kind == "postgresql":
                key = int.from_bytes(digest[:8], "big", signed=True)
                connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
                yield
            else:
                key_name = {"key": "hwnas-" + digest.hex()[:32]}
                connection.execute(sqlalchemy.text("SELECT GET_LOCK(:key, 600)"), key_name)
                yield
                connection.execute(sqlalchemy.text("SELECT RELEASE_LOCK(:key)"), key_name)


@contextmanager
def nothing() -> Iterator[None]:
    yield


def is_url(where: str) -> bool:
    return "://" in where


def storage_url(url: str) -> str:
    """``url`` with the driver that the project uses; RunError for a scheme that is not known."""
    scheme, _, rest = url.partition("://")
    kind, _, driver = scheme.partition("+")
    kind = "postgresql" if kind == "postgres" else kind
    if kind not in ("sqlite", *DRIVERS):
        raise RunError(f"storage {without_password(url)} has a scheme that is not known: {scheme}", f"known: {KNOWN}")
    if kind == "sqlite":
        if rest in ("", "/", "/:memory:"):
            raise RunError(f"the storage {url} would be lost with the process", "give a file: sqlite:///study.db")
        return f"sqlite://{rest}"
    return f"{kind}+{driver or DRIVERS[kind]}://{rest}"


def sqlite_path(url: str) -> Path:
    """The file of an SQLite URL: three slashes for a relative path, four for an absolute one."""
    return Path(url.partition(":///")[2].partition("?")[0])


def without_password(url: str) -> str:
    """``url`` as it may be shown and stored."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:…@", url)


def address_of(url: str) -> str:
    """``url`` without its password, as a run's settings keep it: PGPASSWORD or ~/.pgpass then have it."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1@", url)


def damaged_database(where: str, url: str) -> RunError:
    """An SQLite file whose pages are not what they were."""
    path = sqlite_path(url)
    return RunError(
        f"the study {where} is damaged: its pages cannot all be read",
        f"`hwnas trials --storage {where}` shows what is readable; "
        f"`sqlite3 {path} .recover | sqlite3 {path.stem}-recovered.db` makes a whole file of it to go on with",
    )


def _root(error: BaseException) -> BaseException:
    """What an error was raised from, in the end: Optuna and SQLAlchemy wrap what the driver says."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    lines = str(_root(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
