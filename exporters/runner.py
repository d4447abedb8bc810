"""Use without hwnas: a short program beside the engine that reads images and writes coloured masks."""

from __future__ import annotations

import shutil
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from hwnas.errors import HwnasError
from hwnas.files import write_with

RUNNERS = {"python": ("run.py",), "cpp": ("run.cpp", "CMakeLists.txt")}
"""Files of each kind, in ``exporters/runners``."""


def write_runner(kind: str, directory: Path) -> list[Path]:
    """Write the program of that ``kind`` into an artifact's folder; the files written, the program first."""
    if kind not in RUNNERS:
        raise HwnasError(f"there is no runner {kind!r}", f"choose one of: {', '.join(RUNNERS)}")
    written = []
    for name in RUNNERS[kind]:
        with as_file(files("hwnas.exporters.runners") / name) as source:
            write_with(directory / name, partial(shutil.copyfile, source))
        written.append(directory / name)
    return written
