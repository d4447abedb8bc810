"""Artifacts are built beside their places and moved: until the new ones are whole and proven, the old ones stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hwnas.errors import HwnasError
from hwnas.exporters.artifact import MANIFEST


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A scratch folder beside ``folder``, for artifacts in folders of the names that they are to have there.

    When the context ends they are moved into ``folder``; after an error nothing there has changed.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-")
    except OSError as error:
        raise HwnasError(
            f"cannot write {folder}: {error.strerror or error}", "free some space or choose another folder"
        ) from error
    with scratch as name:
        try:
            yield Path(name)
        except HwnasError as error:  # of a file that is gone when it is read: of the one that it was to be
            raise type(error)(error.message.replace(name, str(folder)), error.hint) from error
        for made in sorted(Path(name).iterdir()):
            _move(made, folder / made.name)


def _move(made: Path, place: Path) -> None:
    """The old manifest goes first and the new one comes last: a kill in between leaves no artifact, never a mixture."""
    place.mkdir(parents=True, exist_ok=True)
    (place / MANIFEST).unlink(missing_ok=True)
    files = [path for path in made.rglob("*") if path.is_file() and path != made / MANIFEST]
    for path in [*files, made / MANIFEST]:
        target = place / path.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
