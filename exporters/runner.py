"""Use without hwnas: a short program beside the engine that reads images and writes coloured masks."""

from __future__ import annotations

import shutil
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from hwnas.errors import HwnasError
from hwnas.files import write_with

RUNNERS = {"python": ("run.py",)}
"""Files of each kind, in ``exporters/runners``."""
ENGINES_OF = {
    "python": ("onnx", "onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "openvino"),
}
"""Whose artifacts each kind runs."""


def check_runner(kind: str, engine: str) -> None:
    """Refuse an unknown kind, or one that does not run artifacts of ``engine``."""
    if kind not in RUNNERS:
        raise HwnasError(f"there is no runner {kind!r}", f"choose one of: {', '.join(RUNNERS)}")
    if engine not in ENGINES_OF[kind]:
        raise HwnasError(f"the {kind} runner does not run {engine}", f"it runs: {', '.join(ENGINES_OF[kind])}")


def write_runner(kind: str, directory: Path) -> list[Path]:
    """Write the program of that ``kind`` into an artifact's folder; the files written, the program first."""
    written = []
    for name in RUNNERS[kind]:
        with as_file(files("hwnas.exporters.runners") / name) as source:
            write_with(directory / name, partial(shutil.copyfile, source))
        written.append(directory / name)
    return written
