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

ANY = -1
"""The batch of an engine that takes any number of images."""


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
    """``ANY`` in the first place: any number of images."""
    dtype: str
    """numpy's name: ``float32``, ``uint8``."""

    @property
    def takes_pixels(self) -> bool:
        """Whether an input takes uint8 (N, H, W, 3) and the engine normalises; else float32 (N, C, H, W)."""
        return self.dtype == "uint8"

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of an input's images."""
        height, width = self.shape[1:3] if self.takes_pixels else self.shape[2:]
        return height, width

    @property
    def batch(self) -> int:
        """Images at a time; 1 where any number will do."""
        return 1 if self.shape[0] == ANY else self.shape[0]


class Session(Protocol):
    """An opened engine. ``run`` takes float32 (N, C, H, W), normalised as the manifest says, or uint8 (N, H, W, 3)
    where the engine normalises, and gives logits float32 (N, K, H, W) or labels uint8 (N, H, W)."""

    @property
    def input(self) -> Port: ...

    @property
    def output(self) -> Port: ...

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        """The output; it may be the engine's own memory, which holds it until the next run only."""
        ...


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


def check_precision(name: str, precision: str) -> None:
    """Refuse a precision that the engine ``name`` lacks here, with those that it has, and the other engines' offers."""
    offered = engine_named(name).available().precisions
    if precision in offered:
        return
    others = [other for other in ENGINES.names() if precision in ENGINES.get(other).available().precisions]
    raise ArtifactError(
        f"the engine {name} does not compute in {precision} here",
        f"it does in: {', '.join(offered)}" + (f"; {precision} is offered by {', '.join(others)}" if others else ""),
    )


def check_image(image: np.ndarray, port: Port) -> None:
    """Refuse an image of another type or shape than the engine's input."""
    wanted = (image.shape[:1] if port.shape[0] == ANY else port.shape[:1]) + port.shape[1:]
    if image.dtype.name != port.dtype or image.shape != wanted or not len(image):
        raise ArtifactError(
            f"the engine takes {port.dtype} of shape {_text(port.shape)}, not {image.dtype} of {_text(image.shape)}",
            "resize and normalise the image as the artifact's manifest says",
        )


def _text(shape: tuple[int, ...]) -> str:
    return "x".join("N" if size == ANY else str(size) for size in shape)
