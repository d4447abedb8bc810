"""What can still be read of a damaged SQLite file: each table row by row, around the pages that are broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FURTHEST = 1 << 40
"""No row id of a study is beyond it."""


def is_damaged(path: Path) -> bool:
    """Whether SQLite finds a fault in the structure of the file."""
    try:
        connection = _opened(path)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
        finally:
            connection.close()
    except sqlite3.OperationalError:  # it is locked, or a killed process left a write to be undone
        return False
    except sqlite3.DatabaseError:
        return True


class SalvagedTables:
    """The readable rows of a damaged file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = _opened(path)
        self._gaps = 0

    def rows(self, table: str, columns: Sequence[str], having: str = "") -> Iterator[tuple[Any, ...]]:
        """Those rows of a table that can be read, by row id; ``having`` is left to the caller."""
        query = f"SELECT rowid, {', '.join(columns)} FROM {table} WHERE rowid > ? ORDER BY rowid"
        after = -1
        while True:
            try:
                for rowid, *values in self._connection.execute(query, (after,)):
                    after = rowid
                    yield tuple(values)
                return
            except sqlite3.DatabaseError:
                self._gaps += 1
                found = self._next_readable(query, after)
                if found is None:
                    return
                after = found

    def faults(self, hint: str) -> list[str]:
        """What to tell of the damage."""
        return [f"the file is damaged: {self._gaps} of its ranges cannot be read", hint]

    def close(self) -> None:
        self._connection.close()

    def _next_readable(self, query: str, after: int) -> int | None:
        """The least row id beyond ``after`` from which on rows can be read again; None if there is none."""
        step = 1
        while not self._reads(query, after + step):
            step *= 2
            if step > FURTHEST:
                return None
        low, high = after + step // 2, after + step  # it reads from high on, and did not from low
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._reads(query, middle) else (middle, high)
        return high

    def _reads(self, query: str, after: int) -> bool:
        """Whether a row beyond ``after`` can be read, or there is none any more."""
        try:
            self._connection.execute(query, (after,)).fetchone()
        except sqlite3.DatabaseError:
            return False
        return True


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection
