"""Use without hwnas: a short program beside the engine that reads images and writes coloured masks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from hwnas.errors import HwnasError
from hwnas.exporters.artifact import MANIFEST, Manifest, facts_of, read_manifest, write_manifest
from hwnas.exporters.ends import MOST_LABELS
from hwnas.files import write_text, write_with

RUNNERS = {"python": ("run.py",), "cpp": ("cpp/main.cpp", "cpp/CMakeLists.txt")}
"""Files of each kind, in ``exporters/runners`` and below an artifact's folder alike."""
ENGINES_OF = {
    "python": ("onnx", "onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "openvino"),
    "cpp": ("onnx", "onnxruntime"),
}
"""Whose artifacts each kind runs."""
CONTRACT = "cpp/contract.hpp"


def check_runner(kind: str, engine: str) -> None:
    """Refuse an unknown kind, or one that does not run artifacts of ``engine``."""
    if kind not in RUNNERS:
        raise HwnasError(f"there is no runner {kind!r}", f"choose one of: {', '.join(RUNNERS)}")
    if engine not in ENGINES_OF[kind]:
        raise HwnasError(f"the {kind} runner does not run {engine}", f"it runs: {', '.join(ENGINES_OF[kind])}")


def write_runner(kind: str, directory: Path) -> list[Path]:
    """Write the program of that ``kind`` into an artifact's folder; the files written, the program first.

    The manifest takes them down, so that they go when another artifact comes in its place.
    """
    manifest = read_manifest(directory / MANIFEST)
    written = []
    for name in RUNNERS[kind]:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        with as_file(files("hwnas.exporters.runners").joinpath(*name.split("/"))) as source:
            write_with(directory / name, partial(shutil.copyfile, source))
        written.append(directory / name)
    if kind == "cpp":
        write_text(directory / CONTRACT, contract_header(manifest))
        written.append(directory / CONTRACT)
    facts = {path.relative_to(directory).as_posix(): facts_of(path) for path in written}
    write_manifest(directory, replace(manifest, runner={**manifest.runner, **facts}))
    return written


def contract_header(manifest: Manifest) -> str:
    """The manifest's input and output contracts as C++ constants: the program then parses nothing."""
    given, output = manifest.input, manifest.output
    height, width = manifest.size_hw
    colours = [item.color for item in manifest.classes]
    # an untrained network has no classes, and its logits their number all the same
    classes = output["shape"][1] if output["kind"] == "logits" else len(colours)
    # labels without a class are drawn grey
    rows = [*colours, *([128, 128, 128] for _ in range(MOST_LABELS - len(colours)))][:MOST_LABELS]
    mean, std = given.get("mean") or [0, 0, 0], given.get("std") or [1, 1, 1]
    return f"""// What {manifest.entry} takes and gives, written with it from {MANIFEST}.
#pragma once

#include <cstdint>

namespace contract {{
constexpr const char* FOLDER = ENGINE_FOLDER;  // CMake says it
constexpr const char* FILE = {_quoted(manifest.entry)};
constexpr const char* INPUT = {_quoted(given["name"])};
constexpr const char* OUTPUT = {_quoted(output["name"])};
constexpr int BATCH = {max(1, int(given["shape"][0]))};
constexpr int HEIGHT = {int(height)};
constexpr int WIDTH = {int(width)};
constexpr int CLASSES = {int(classes)};
constexpr bool TAKES_PIXELS = {_truth(given["dtype"] == "uint8")};  // uint8 NHWC, else float32 NCHW, normalised
constexpr bool GIVES_LABELS = {_truth(output["dtype"] == "uint8")};  // uint8 NHW, else float32 logits NCHW
constexpr float MEAN[] = {{{_floats(mean)}}};  // of red, green and blue between 0 and 1
constexpr float STD[] = {{{_floats(std)}}};
constexpr std::uint8_t COLOURS[{MOST_LABELS}][3] = {{{", ".join(_triple(row) for row in rows)}}};
}}  // namespace contract
"""


def _quoted(text: str) -> str:
    return json.dumps(text)


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _floats(values: Sequence[float]) -> str:
    return ", ".join(f"{float(value)!r}f" for value in values)


def _triple(values: Sequence[int]) -> str:
    return "{" + ", ".join(str(int(value)) for value in values) + "}"
