"""How long work tells how far it is. The core takes a :class:`Progress`; the command line passes one that draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One running piece of work."""

    def update(self, done: float, note: str = "") -> None:
        """``done`` of the task's total is finished; ``note`` is a short live remark such as ``"loss 0.41"``."""


class Progress(Protocol):
    """Opens tasks and prints lines that stay."""

    def task(self, label: str, total: float) -> AbstractContextManager[Task]: ...

    def say(self, line: str) -> None: ...


class Silent:
    """A Progress that shows nothing."""

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Task]:
        yield self

    def update(self, done: float, note: str = "") -> None:
        pass

    def say(self, line: str) -> None:
        pass
