"""From uint8 images to what an engine takes and back: normalised or not, one at a time or several."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwnas.data.preprocess import normalize_array
from hwnas.exporters.engine import Port, Session


def prepared(images_NHWC: np.ndarray, port: Port) -> np.ndarray:
    """uint8 (N, H, W, 3) as the engine's input: as it is where the engine normalises itself, else normalised."""
    return np.ascontiguousarray(images_NHWC) if port.takes_pixels else normalize_array(images_NHWC)


def outputs_of(session: Session, images_NHWC: np.ndarray) -> Iterator[np.ndarray]:
    """The output (1, …) of each image of uint8 (N, H, W, 3), in order.

    An engine of a fixed batch gets as many at a time; the last image fills the batch up where they run out.
    """
    step = max(1, session.input.batch)
    for start in range(0, len(images_NHWC), step):
        chunk = np.asarray(images_NHWC[start : start + step])
        filled = np.concatenate([chunk, np.repeat(chunk[-1:], step - len(chunk), axis=0)])
        output = session.run(prepared(filled, session.input))
        yield from (output[i : i + 1] for i in range(len(chunk)))


def labels_in(output: np.ndarray) -> np.ndarray:
    """Labels uint8 (N, H, W) of an engine's output: itself, or the argmax of logits."""
    return output if output.dtype == np.uint8 else output.argmax(1).astype(np.uint8)
