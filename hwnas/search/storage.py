"""What a study needs of the place that it is kept in, and which places there are."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hwnas.errors import RunError
from hwnas.search.trial import Record

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "study.journal"
"""The name of the journal in a run directory."""

STUDY_NAME = "search"
"""The name of the study in a run's journal."""


class Store(Protocol):
    """A storage that several processes work on. ``where`` is how it may be named to users."""

    where: str
    name: str
    """The study's."""

    @property
    def storage(self) -> BaseStorage:
        """Optuna's own object, to write through."""

    def exclusive(self) -> AbstractContextManager[None]:
        """No other process writes meanwhile; may be taken again by who has it. Everything is written within it."""

    def changes(self, study_id: int) -> list[Record]:
        """Our trials that are new or have changed since the last call: what a study reads while it runs."""

    def trouble(self, error: BaseException) -> RunError | None:
        """What an error means for the user; None if it may pass when tried again."""


def open_store(where: Path | str, name: str) -> Store:
    """The storage at ``where``: a path is a journal file, ``sqlite:///FILE`` or ``postgresql://…`` a database."""
    from hwnas.search.database import DatabaseStore, is_url
    from hwnas.search.journal import JournalStore

    if isinstance(where, str) and is_url(where):
        return DatabaseStore(where, name)
    return JournalStore(Path(where), name)
