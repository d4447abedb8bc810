"""What an engine is: it builds a file from ONNX, opens it, and runs images through it. One file an engine.

Modules of this package are all imported to fill the registry, so they import torch, onnx and engines inside functions.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hwnas.errors import ArtifactError, MissingPackage
from hwnas.registry import Registry

PRECISIONS = ("fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True)
class Availability:
    """Whether an engine can be used here: ``problem`` is empty, or says why not and ``hint`` what to do."""

    version: str = ""
    providers: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""

    def __bool__(self) -> bool:
        return not self.problem


@dataclass(frozen=True)
class Port:
    """An input or output of an opened engine."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """numpy's name: ``float32``, ``uint8``."""


class Session(Protocol):
    """An opened engine. ``run`` takes float32 (1, C, H, W), normalised as the manifest says, and gives a new array:
    logits float32 (1, K, H, W) or labels uint8 (1, H, W)."""

    @property
    def input(self) -> Port: ...

    @property
    def output(self) -> Port: ...

    def run(self, image_NCHW: np.ndarray) -> np.ndarray: ...


class Engine(Protocol):
    """Builds and opens engine files; errors are ArtifactErrors naming the file."""

    @property
    def name(self) -> str: ...

    def available(self) -> Availability: ...

    def build(self, onnx_path: Path, *, precision: str, out_dir: Path) -> Path:
        """The engine's file in ``out_dir``, built from an ONNX file."""

    def open(self, path: Path, *, threads: int) -> AbstractContextManager[Session]:
        """A session that is closed when the context ends."""


ENGINES: Registry[Engine] = Registry("engine", "hwnas.exporters")


def engine_named(name: str) -> Engine:
    """The engine ``name``; one that cannot be used here is a MissingPackage with what to do."""
    engine = ENGINES.get(name)
    found = engine.available()
    if not found:
        raise MissingPackage(found.problem, found.hint)
    return engine


def check_image(image: np.ndarray, port: Port) -> None:
    """Refuse an image of another type or shape than the engine's input."""
    if image.dtype.name != port.dtype or image.shape != port.shape:
        raise ArtifactError(
            f"the engine takes {port.dtype} of shape {_text(port.shape)}, not {image.dtype} of {_text(image.shape)}",
            "resize and normalise the image as the artifact's manifest says",
        )


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
