"""What of the way from a camera's pixels to labels is inside the timed region."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwnas.errors import HwnasError
from hwnas.exporters.engine import Session
from hwnas.exporters.inputs import labels_in, prepared

SCOPES = ("engine", "copies", "end-to-end")
"""``engine``: one run, from a filled input array to a filled output array. ``copies``: also the input copied in from
another buffer and the output copied out to one. ``end-to-end``: from decoded uint8 images of the input's size
(N, H, W, 3) to uint8 labels (N, H, W): normalisation and argmax in numpy, where the engine does not do them itself."""


def check_scope(scope: str) -> None:
    """Refuse an unknown scope."""
    if scope not in SCOPES:
        raise HwnasError(f"there is no scope {scope!r}", f"choose one of: {', '.join(SCOPES)}")


def inside_of(session: Session, scope: str) -> tuple[str, ...]:
    """What the timed region holds beside the network, in its order: for the timing contract."""
    return inside_of_ends(scope, takes_pixels=session.input.takes_pixels, labels=session.output.dtype == "uint8")


def inside_of_ends(scope: str, *, takes_pixels: bool, labels: bool) -> tuple[str, ...]:
    """The same of an engine that is not open, by what it takes and gives."""
    pixels = ("preprocessing",) if takes_pixels or scope == "end-to-end" else ()
    before = (*(("copies",) if scope == "copies" else ()), *pixels)
    argmax = ("argmax",) if labels or scope == "end-to-end" else ()
    return (*before, "upsampling", *argmax)


def labels_of(session: Session, images_NHWC: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, 3) RGB of the input's size → labels uint8 (N, H, W)."""
    return labels_in(session.run(prepared(images_NHWC, session.input)))


def call_of(session: Session, scope: str, rng: np.random.Generator) -> Callable[[], object]:
    """What is timed, on a fixed random image."""
    check_scope(scope)
    port = session.input
    pixels = rng.integers(0, 256, (port.batch, *port.size_hw, 3), dtype=np.uint8)
    if scope == "end-to-end":
        return lambda: labels_of(session, pixels)
    shape = (port.batch, *port.shape[1:])
    image = pixels if port.takes_pixels else rng.standard_normal(shape, dtype=np.float32)
    if scope == "engine":
        return lambda: session.run(image)
    staging, result = np.empty_like(image), np.empty((port.batch, *session.output.shape[1:]), session.output.dtype)

    def run() -> None:
        np.copyto(staging, image)
        np.copyto(result, session.run(staging))

    return run
