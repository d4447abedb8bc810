"""What of the way from a camera's pixels to labels is inside the timed region."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwnas.data.preprocess import normalize_array
from hwnas.errors import HwnasError
from hwnas.exporters.engine import Session

SCOPES = ("engine", "copies", "end-to-end")
"""``engine``: one run, from a filled input array to a filled output array. ``copies``: also the input copied in from
another buffer and the output copied out to one. ``end-to-end``: from a decoded uint8 image of the input's size
(H, W, 3) to uint8 labels (H, W): normalisation and, where the engine gives logits, the argmax in numpy."""


def check_scope(scope: str) -> None:
    """Refuse an unknown scope."""
    if scope not in SCOPES:
        raise HwnasError(f"there is no scope {scope!r}", f"choose one of: {', '.join(SCOPES)}")


def inside_of(session: Session, scope: str) -> tuple[str, ...]:
    """What the timed region holds beside the network, in its order: for the timing contract."""
    labels = session.output.dtype == "uint8"
    before = {"engine": (), "copies": ("copies",), "end-to-end": ("preprocessing",)}[scope]
    argmax = ("argmax",) if labels or scope == "end-to-end" else ()
    return (*before, "upsampling", *argmax)


def labels_of(session: Session, image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) RGB of the input's size → labels uint8 (H, W)."""
    output = session.run(normalize_array(image[None]))
    labels = output if output.dtype == np.uint8 else output.argmax(1).astype(np.uint8)
    return np.asarray(labels[0])


def call_of(session: Session, scope: str, rng: np.random.Generator) -> Callable[[], object]:
    """What is timed, on a fixed random image."""
    check_scope(scope)
    shape = session.input.shape
    if scope == "end-to-end":
        pixels = rng.integers(0, 256, (*shape[2:], shape[1]), dtype=np.uint8)
        return lambda: labels_of(session, pixels)
    image = rng.standard_normal(shape, dtype=np.float32).astype(session.input.dtype, copy=False)
    if scope == "engine":
        return lambda: session.run(image)
    staging, result = np.empty_like(image), np.empty(session.output.shape, session.output.dtype)

    def run() -> None:
        np.copyto(staging, image)
        np.copyto(result, session.run(staging))

    return run
