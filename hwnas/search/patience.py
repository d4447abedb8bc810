"""A storage that goes away for a while: tried again, ever more slowly, until it answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from hwnas.errors import HwnasError, RunError

PATIENCE_S = 900.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 20.0

T = TypeVar("T")
_log = logging.getLogger("hwnas")


class Judge(Protocol):
    """Says which errors of a storage may pass: None is one that may; an error that is none of its own it raises."""

    where: str

    def trouble(self, error: BaseException) -> RunError | None: ...


def patiently(
    action: Callable[[], T],
    store: Judge,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """The result of ``action``, tried again for ``patience_s`` seconds while the storage cannot be reached.

    ``action`` must be such that doing it twice is doing it once: it may have succeeded before the line went dead.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    began = clock()
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return action()
        except HwnasError:
            raise
        except (OSError, ValueError, LookupError, AssertionError, StorageInternalError, SQLAlchemyError) as error:
            known = store.trouble(error)
            if known is not None:
                raise known from error
            if clock() - began >= patience_s:
                raise RunError(
                    f"the storage {store.where} has not answered for {_spoken(patience_s)} ({error})",
                    "what was recorded is safe: continue with --resume when it is back",
                ) from error
            _log.warning("the storage %s does not answer; trying again in %.1f s (%s)", store.where, wait_s, error)
        sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
