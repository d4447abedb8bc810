"""Artifacts are built beside their places and moved: until the new ones are whole and proven, the old ones stay."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hwnas.errors import HwnasError
from hwnas.exporters.artifact import MANIFEST, facts_of, is_inside, read_manifest


@contextmanager
def staged(folder: Path, *, instead_of: Collection[str] = ()) -> Iterator[Path]:
    """A scratch folder beside ``folder``, for artifacts in folders of the names that they are to have there.

    When the context ends they are moved into ``folder``, and the artifacts there that they take the places of, or whose
    names are in ``instead_of``, are gone. After an error nothing there has changed.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with scratch as name:
        try:
            yield Path(name)
        except HwnasError as error:  # of a file that is gone when it is read: of the one that it was to be
            raise type(error)(error.message.replace(name, str(folder)), error.hint) from error
        made = sorted(Path(name).iterdir())
        try:
            for old in sorted({*instead_of, *(path.name for path in made)}):
                _retire(folder / old)
            for path in made:
                _move(path, folder / path.name)
        except OSError as error:
            raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> HwnasError:
    return HwnasError(f"cannot write {folder}: {error.strerror or error}", "free some space or choose another folder")


def _retire(place: Path) -> None:
    """Remove an artifact: its manifest, and what that names as far as it is still what hwnas wrote. Other files, and
    the folder if it has any, stay."""
    try:
        manifest = read_manifest(place / MANIFEST)
    except HwnasError:  # none, or a damaged one: what it names cannot be told
        return
    (place / MANIFEST).unlink()
    emptied = {place}
    for name, facts in {**manifest.files, **manifest.runner}.items():
        path = place / name
        if is_inside(name) and path.is_file() and facts_of(path) == facts:
            path.unlink()
            emptied |= {place / parent for parent in Path(name).parents}
    for directory in sorted(emptied, key=lambda path: -len(path.parts)):
        with suppress(OSError):  # it holds something else
            directory.rmdir()


def _move(made: Path, place: Path) -> None:
    """The old manifest goes first and the new one comes last: a kill in between leaves no artifact, never a mixture."""
    place.mkdir(parents=True, exist_ok=True)
    (place / MANIFEST).unlink(missing_ok=True)
    files = [path for path in made.rglob("*") if path.is_file() and path != made / MANIFEST]
    for path in [*files, made / MANIFEST]:
        target = place / path.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
