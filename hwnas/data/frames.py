"""Frames as a camera gives them, decoded and resized: of a folder of images or of a video file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwnas.data.pixels import read_pixels, resize_image
from hwnas.errors import DataError
from hwnas.optional import require
from hwnas.progress import Progress, Silent

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
MOST_FRAMES = 600
"""Decoded frames that are held in memory; a longer run goes round them. At 1024x2048 that is 3.8 GB."""


def frames_of_folder(
    folder: Path, size_hw: tuple[int, int], *, most: int = MOST_FRAMES, progress: Progress | None = None
) -> np.ndarray:
    """uint8 (N, H, W, 3) RGB of the images in ``folder``, in the order of their names.

    A folder without images, or an image that cannot be decoded, is a DataError that names it.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", "give a folder of images")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)[:most]
    if not paths:
        raise DataError(f"the folder {folder} has no image", f"it must hold files like {', '.join(sorted(IMAGES))}")
    frames = np.empty((len(paths), *size_hw, 3), np.uint8)
    with (progress or Silent()).task("decoding frames", len(paths)) as task:
        for i, path in enumerate(paths):
            frames[i] = resize_image(read_pixels(path, labels=False), size_hw)
            task.update(i + 1)
    return frames


def frames_of_video(
    path: Path, size_hw: tuple[int, int], *, count: int, most: int = MOST_FRAMES, progress: Progress | None = None
) -> np.ndarray:
    """uint8 (N, H, W, 3) RGB of the first ``count`` frames of a video, or of ``most`` if that is less. Needs PyAV.

    A video that cannot be decoded, or that ends before ``count`` frames, is a DataError that says after how many.
    """
    av = require("av", extra="video")
    if not path.is_file():
        raise DataError(f"there is no video {path}", "check the path")
    wanted = min(count, most)
    frames = np.empty((wanted, *size_hw, 3), np.uint8)
    had = 0
    with (progress or Silent()).task("decoding frames", wanted) as task:
        try:
            with av.open(str(path)) as container:
                for frame in _decoded(container, path):
                    if had == wanted:
                        break
                    frames[had] = resize_image(frame.to_ndarray(format="rgb24"), size_hw)
                    had += 1
                    task.update(had)
        except (av.error.FFmpegError, OSError, EOFError) as error:
            raise DataError(
                f"the video {path} cannot be decoded after {had} frames ({error})", "it is damaged or truncated"
            ) from error
    if had < wanted:
        raise DataError(
            f"the video {path} ends after {had} frames, and {wanted} are wanted",
            "give fewer --seconds, or a longer video",
        )
    return frames


def _decoded(container: Any, path: Path) -> Any:
    if not container.streams.video:
        raise DataError(f"{path} holds no video stream", "give a video file, or a folder of images with --images")
    return container.decode(video=0)
