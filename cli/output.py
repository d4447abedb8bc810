"""What every verb prints and how it ends: one JSON document or a text, one sentence for an error, the exit code.

Standard output carries the answer and nothing else; progress, logs and whatever libraries print go to standard error.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError, out_of_memory

if TYPE_CHECKING:
    from rich.console import Console

EXIT_OK = 0
EXIT_FAIL = 1
"""The work was done and its verdict is FAIL."""
EXIT_USER = 2
"""A mistake or circumstance of the user's; nothing that existed before was damaged."""
EXIT_BUG = 70
"""A fault of ours (sysexits' EX_SOFTWARE)."""
EXIT_INTERRUPTED = 130
"""Stopped with Ctrl-C (128 + SIGINT)."""
EXIT_BROKEN_PIPE = 141
"""Whoever read our output went away (128 + SIGPIPE)."""

PIPED_WIDTH = 120
"""Columns of a table when standard output is no terminal (rich would take 80 and cut names short)."""


@dataclass(frozen=True)
class Answer:
    """What a verb found: a document for ``--json`` and the text for people, written to a rich console."""

    document: Mapping[str, object]
    text: Callable[[Console], None]
    exit_code: int = EXIT_OK


@dataclass(frozen=True)
class Failure:
    """One sentence for the user, what to do next, and the exit code."""

    message: str
    hint: str
    exit_code: int = EXIT_USER


def jsonable(value: object) -> Any:
    """``value`` as plain JSON data: dataclasses and mappings become objects, tuples lists, NaN and infinity null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: jsonable(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy's and torch's scalars and arrays
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise AssertionError(f"{type(value).__name__} has no JSON form")


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Write the answer to standard output, in one of its two forms."""
    if as_json:
        write_json_line(answer.document)
    else:
        answer.text(stdout_console())
    sys.stdout.flush()


def write_json_line(document: Mapping[str, object]) -> None:
    """One indented JSON document on standard output."""
    print(json.dumps(jsonable(document), indent=1, allow_nan=False))


def print_failure(failure: Failure, *, as_json: bool) -> None:
    """``{"error", "hint"}`` on standard output with ``--json``; else two lines on standard error."""
    if as_json:
        write_json_line({"error": failure.message, "hint": failure.hint})
        sys.stdout.flush()
        return
    print(f"error: {failure.message}", file=sys.stderr)
    if failure.hint:
        print(f"hint: {failure.hint}", file=sys.stderr)


def failure_of(error: BaseException, *, resumable: bool = False) -> Failure:
    """How an exception that ended a verb is told to the user."""
    if out_of_memory(error):
        return Failure("the machine has no memory left", "take a smaller --size, or close other programs")
    if isinstance(error, HwnasError):
        return Failure(error.message, error.hint)
    if isinstance(error, KeyboardInterrupt):
        hint = "continue where it stopped: the same command with --resume" if resumable else ""
        return Failure("stopped by the keyboard", hint, EXIT_INTERRUPTED)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" writing {error.filename}" if error.filename else ""
        return Failure(f"the disk is full{where}", "free some space and run it again; files written before are whole")
    if isinstance(error, OSError) and error.filename is not None:
        return Failure(f"cannot use {error.filename}: {error.strerror}", "check the path and its permissions")
    if isinstance(error, ImportError) and not (error.name or "hwnas").startswith("hwnas"):
        hint = "install it, or install hwnas with all it needs: pip install hwnas; hwnas doctor shows what is missing"
        return Failure(f"the package {error.name} could not be imported ({error})", hint)
    return Failure(
        f"unexpected error {type(error).__name__}: {error}",
        "this is a fault of hwnas: please report it; -v shows the traceback",
        EXIT_BUG,
    )


def stdout_console() -> Console:
    """A rich console on standard output; colours only on a terminal, wide enough for tables when piped."""
    from rich.console import Console

    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(file=sys.stdout, width=PIPED_WIDTH if piped else None, highlight=False)


def stderr_console() -> Console:
    """A rich console on standard error, for progress and logs."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


@contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Send to standard error what anyone prints meanwhile: Python, native libraries and child processes alike."""
    original = sys.stdout
    original.flush()
    saved = _descriptor_to_stderr(original)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = original
        if saved is not None:
            _flush_native()
            os.dup2(saved, 1)
            os.close(saved)


def _descriptor_to_stderr(stream: Any) -> int | None:
    """Point descriptor 1 at standard error; the saved descriptor, or None where ``stream`` is not descriptor 1."""
    try:
        if stream.fileno() != 1:
            return None
        saved = os.dup(1)
    except (AttributeError, OSError, ValueError):  # captured by a test, or closed
        return None
    try:
        os.dup2(2, 1)
    except OSError:
        os.close(saved)
        return None
    return saved


def _flush_native() -> None:
    """Empty C's own buffers, or they would be written after standard output is back in place."""
    import ctypes

    try:
        ctypes.CDLL(None).fflush(None)
    except (AttributeError, OSError, TypeError):  # no C library to be found under that name
        return
