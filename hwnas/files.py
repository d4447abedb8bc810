"""Files written beside and renamed, so that whatever existed before is whole until the new one is."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwnas.errors import HwnasError


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file in the same folder, then rename it to ``path``.

    A full disk, a missing permission or a read-only folder is a :class:`HwnasError`, and ``path`` is left as it was.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Find out before long work that ``path`` cannot be written after it, which is a :class:`HwnasError`."""
    if path.is_dir():
        raise HwnasError(f"cannot write {path}: it is a folder", "name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> HwnasError:
    return HwnasError(f"cannot write {path}: {error.strerror or error}", "free some space or choose another folder")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text beside and rename."""
    write_with(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes beside and rename."""
    write_with(path, lambda temporary: temporary.write_bytes(data))


def write_json(path: Path, document: Any) -> None:
    """Write an indented JSON document beside and rename; NaN is refused (it is not JSON)."""
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def read_text(path: Path, what: str) -> str:
    """The UTF-8 text in ``path``; ``what`` names it in errors."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise HwnasError(f"cannot read the {what} {path}: {error.strerror or error}", "check the path") from error
    except UnicodeDecodeError as error:
        raise HwnasError(f"the {what} {path} is not UTF-8 text ({error.reason} at byte {error.start})") from error


def read_json(path: Path, what: str) -> Any:
    """The JSON document in ``path``; ``what`` names it in errors (``"genotype"``, ``"latency table"``)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HwnasError(f"cannot read the {what} {path}: {error.strerror or error}", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise HwnasError(
            f"the {what} {path} is not valid JSON ({error})", "it is damaged or truncated: make it again"
        ) from error


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_text(text: str) -> str:
    """Hex SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()
