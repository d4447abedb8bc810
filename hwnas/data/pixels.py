"""Image files to arrays: the one place where a data set's files are opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from hwnas.errors import DataError


def read_pixels(path: Path, *, labels: bool) -> np.ndarray:
    """Decode an image file: (H, W, 3) uint8 RGB, or what a mask holds if ``labels``.

    A mask gives (H, W) of its numbers (a palette file its indices, 8 or 16 bits) or (H, W, 3) uint8 if it is coloured.
    A file that is missing, truncated or not an image is a :class:`DataError` that names it.
    """
    try:
        with Image.open(path) as file:
            file.load()
            return _labels(file) if labels else np.array(file.convert("RGB"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", "check the path, and the list that names it") from error
    except PermissionError as error:
        raise DataError(f"{path} may not be read", "check the file's permissions") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be decoded ({error})", "it is damaged or not an image: fetch it again or leave it out"
        ) from error


def resize_image(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """An RGB image uint8 (H, W, 3) at ``size_hw``: bilinear with antialiasing."""
    if image.shape[:2] == tuple(size_hw):
        return image
    height, width = size_hw
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _labels(file: Image.Image) -> np.ndarray:
    if file.mode == "1":
        return np.array(file, dtype=np.uint8)
    if file.mode in ("RGB", "RGBA"):
        return np.array(file.convert("RGB"))
    if file.mode == "LA":
        return np.array(file.getchannel(0))
    return np.array(file)
