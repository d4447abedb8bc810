"""The latency tables that come with hwnas, by name, and the one way from "a file or a name" to a path."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path

from hwnas.errors import TableError


def _paths() -> dict[str, Path]:
    folder = Path(str(files("hwnas.latency_tables")))
    return {path.name.removesuffix(".json"): path for path in sorted(folder.rglob("*.json"))}


def shipped_names() -> list[str]:
    """Names of all tables that come with hwnas, sorted."""
    return sorted(_paths())


def table_path(path_or_name: str | Path) -> Path:
    """The file itself if there is one, else the shipped table of that name; TableError with the nearest names."""
    path = Path(path_or_name)
    if path.exists():
        return path
    if found := _paths().get(str(path)):
        return found
    if path.suffix == ".json" or len(path.parts) > 1:
        raise TableError(f"there is no latency table {path}", "check the path, or make one with `hwnas profile`")
    near = difflib.get_close_matches(str(path), _paths(), n=3, cutoff=0.4)
    offer = f"did you mean {', '.join(near)}?" if near else f"tables that come with hwnas: {', '.join(_paths())}"
    raise TableError(f"there is no latency table {str(path)!r}, neither a file nor one that comes with hwnas", offer)
