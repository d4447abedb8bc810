"""A split decoded and resized once, kept as memory-mapped arrays.

An entry is a folder with ``images.npy``, ``masks.npy`` and ``entry.json``, named by a fingerprint of everything that it
was made of. It is made beside and renamed, so an entry that exists is whole; one that was damaged since is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from hwnas.data.base import Dataset, Item, note_read, read
from hwnas.data.pixels import resize_image
from hwnas.errors import DataError, HwnasError
from hwnas.progress import Progress, Silent

VERSION = 1
"""Raised whenever decoding or resizing changes."""


@dataclass(frozen=True)
class Arrays:
    """A split in memory maps: ``images`` (N, H, W, 3) uint8 RGB, ``masks`` (N, H, W) uint8 with 255 = ignored."""

    images: np.ndarray
    masks: np.ndarray
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        height, width = self.images.shape[1:3]
        return height, width


def default_cache_dir() -> Path:
    """``$HWNAS_CACHE``, or ``~/.cache/hwnas``."""
    return Path(os.environ.get("HWNAS_CACHE") or "~/.cache/hwnas").expanduser()


def load_arrays(
    dataset: Dataset,
    split: str,
    size_hw: tuple[int, int],
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Arrays:
    """The split's images at ``size_hw``, from the cache if it has them, else decoded into it.

    Images are resized bilinearly with antialiasing, masks to the nearest pixel; the whole image is kept, so its aspect
    changes where that of ``size_hw`` differs. A broken or missing file is a :class:`DataError` that names it.
    """
    note_read(split, f"arrays of {dataset.spec} at {size_hw[0]}x{size_hw[1]}")
    items = dataset.items(split)
    folder = (cache_dir or default_cache_dir()) / "arrays" / _entry_name(dataset, split, size_hw)
    arrays = _open(folder)
    if arrays is None:
        _build(folder, dataset, items, size_hw, progress or Silent())
        arrays = _open(folder)
    if arrays is None:
        raise DataError(f"the cache entry {folder} is damaged as soon as it is written", "check that disk")
    return arrays


def resize_pair(image: np.ndarray, mask: np.ndarray, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W, 3) and its labels (H, W) at ``size_hw``."""
    size_wh = (size_hw[1], size_hw[0])
    if mask.shape != tuple(size_hw):
        mask = np.asarray(Image.fromarray(mask).resize(size_wh, Image.Resampling.NEAREST))
    return resize_image(image, size_hw), mask


def _entry_name(dataset: Dataset, split: str, size_hw: tuple[int, int]) -> str:
    made_of = f"{VERSION}\n{dataset.spec}\n{split}\n{size_hw}\n{dataset.signature(split)}"
    fingerprint = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    return f"{dataset.name}-{split}-{size_hw[0]}x{size_hw[1]}-{fingerprint}"


def _build(
    folder: Path, dataset: Dataset, items: tuple[Item, ...], size_hw: tuple[int, int], progress: Progress
) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as name:
            made = Path(name) / "entry"
            made.mkdir()
            _write(made, dataset, items, size_hw, progress)
            if folder.exists():  # damaged, or another process was faster; either way this one is whole
                shutil.rmtree(folder)
            made.rename(folder)
    except OSError as error:
        if _open(folder) is not None:  # another process was faster, between the check and the rename
            return
        raise HwnasError(
            f"cannot write the image cache {folder.parent}: {error.strerror or error}",
            "free some space, or set HWNAS_CACHE to another folder",
        ) from error


def _write(made: Path, dataset: Dataset, items: tuple[Item, ...], size_hw: tuple[int, int], progress: Progress) -> None:
    """Write the entry's files in order. Plain writes, not a writable memory map: on a full disk that would crash."""
    height, width = size_hw
    count = len(items)
    label = f"decode {dataset.name} {items[0].split}"
    images_path, masks_path = made / "images.npy", made / "masks.npy"
    with (
        images_path.open("wb") as images,
        masks_path.open("wb") as masks,
        progress.task(label, count) as task,
    ):
        _write_header(images, (count, height, width, 3))
        _write_header(masks, (count, height, width))
        for done, (image, mask) in enumerate(_decoded(dataset, items, size_hw), 1):
            images.write(np.ascontiguousarray(image).tobytes())
            masks.write(np.ascontiguousarray(mask).tobytes())
            task.update(done)
    entry = {
        "version": VERSION,
        "spec": dataset.spec,
        "keys": [item.key for item in items],
        "images": [images_path.stat().st_size, _checksum(images_path)],
        "masks": [masks_path.stat().st_size, _checksum(masks_path)],
    }
    (made / "entry.json").write_text(json.dumps(entry, indent=1), encoding="utf-8")


def _write_header(stream: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _decoded(
    dataset: Dataset, items: tuple[Item, ...], size_hw: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Decode in threads (Pillow lets go of the lock), in order, with only a few images in flight."""

    def decode(item: Item) -> tuple[np.ndarray, np.ndarray]:
        return resize_pair(*read(dataset, item), size_hw)

    workers = min(os.cpu_count() or 1, 8)
    with ThreadPoolExecutor(workers) as pool:
        running: list[Future[tuple[np.ndarray, np.ndarray]]] = []
        try:
            for item in items:
                running.append(pool.submit(decode, item))
                if len(running) > 2 * workers:
                    yield running.pop(0).result()
            while running:
                yield running.pop(0).result()
        finally:
            for future in running:
                future.cancel()


def _open(folder: Path) -> Arrays | None:
    """The entry in ``folder``, or None where there is none or it is damaged."""
    try:
        entry: dict[str, Any] = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        opened = []
        for name in ("images", "masks"):
            path = folder / f"{name}.npy"
            if [path.stat().st_size, _checksum(path)] != entry[name]:
                return None
            opened.append(np.load(path, mmap_mode="r", allow_pickle=False))
        return Arrays(opened[0], opened[1], tuple(entry["keys"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checksum(path: Path, samples: int = 64, block_bytes: int = 1 << 16) -> int:
    """A CRC of evenly spaced blocks, the first and the last among them: bounded work however large the file is."""
    size = path.stat().st_size
    last = max(size - block_bytes, 0)
    value = 0
    with path.open("rb") as stream:
        for offset in sorted({last * place // (samples - 1) for place in range(samples)}):
            stream.seek(offset)
            value = zlib.crc32(stream.read(block_bytes), value)
    return value
