"""The features of a frozen backbone, computed once and kept on disk as memory-mapped arrays.

An entry is a folder: the features of some crops of every training image and of every held-out image as a whole, in
half precision, and the crops' labels. It is made beside and renamed, so an entry that exists is whole; its name is a
fingerprint of everything that it was made of.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hwnas.compiler.network import compile_graph
from hwnas.compiler.tail import Front
from hwnas.data.preprocess import normalize
from hwnas.errors import HwnasError
from hwnas.files import sha256_of_text
from hwnas.ir.opgraph import OpGraph
from hwnas.progress import Progress
from hwnas.search.backbone import Backbone
from hwnas.search.evaluators.images import Images
from hwnas.shapes import Shape
from hwnas.training.device import channels_last

if TYPE_CHECKING:
    from torch import Tensor, nn

VERSION = 1
BATCH = 8


@dataclass(frozen=True)
class Features:
    """``train`` and ``held``: node → features (N, C, h, w) float16; ``masks`` (N, H, W) uint8 are the crops' labels."""

    train: Mapping[str, np.ndarray]
    masks: np.ndarray
    held: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class CropPlan:
    """Which crops are kept: ``each`` of every training image, of ``size_hw``, at places drawn from ``seed``."""

    size_hw: tuple[int, int]
    each: int
    seed: int

    def windows(self, images: Images) -> list[tuple[int, int, int]]:
        """(image, top, left) of each crop."""
        rng = np.random.default_rng([self.seed, 7])
        (height, width), (full_h, full_w) = self.size_hw, images.size_hw
        return [
            (int(index), int(rng.integers(full_h - height + 1)), int(rng.integers(full_w - width + 1)))
            for index in images.train
            for _ in range(self.each)
        ]


def features_of(
    graph_at: Callable[[Shape], OpGraph],
    nodes: Sequence[str],
    images: Images,
    crops: CropPlan,
    backbone: Backbone,
    folder: Path,
    progress: Progress,
) -> Features:
    """The features of ``nodes``, from the entry in ``folder`` that was made of the same, else computed into it.

    ``graph_at`` is a network that has the backbone, at an input shape (C, H, W).
    """
    made_of = {
        "version": VERSION,
        "nodes": list(nodes),
        "data": images.identity,
        "images": [images.train.tolist(), images.held.tolist()],
        "size_hw": list(images.size_hw),
        "crops": vars(crops),
        "backbone": backbone.source,
    }
    place = folder / f"features-{sha256_of_text(json.dumps(made_of, sort_keys=True))[:16]}"
    found = _open(place, nodes)
    if found is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as name:
            made = Path(name) / "entry"
            made.mkdir()
            _write(made, graph_at, nodes, images, crops, backbone, progress)
            (made / "entry.json").write_text(json.dumps(made_of), encoding="utf-8")
            if place.exists():  # damaged, or another process was faster
                shutil.rmtree(place)
            made.rename(place)
    except OSError as error:
        raise HwnasError(
            f"cannot write the features of the backbone below {folder}: {error.strerror or error}",
            "free some space, or set HWNAS_CACHE to another folder",
        ) from error
    found = _open(place, nodes)
    assert found is not None
    return found


def _write(
    made: Path,
    graph_at: Callable[[Shape], OpGraph],
    nodes: Sequence[str],
    images: Images,
    crops: CropPlan,
    backbone: Backbone,
    progress: Progress,
) -> None:
    windows = crops.windows(images)
    height, width = crops.size_hw
    total = len(windows) + len(images.held)
    with progress.task("compute the backbone's features", total) as task:

        def crop(window: tuple[int, int, int], of: np.ndarray) -> np.ndarray:
            index, top, left = window
            return np.asarray(of[index][top : top + height, left : left + width])

        masks = np.stack([crop(window, images.arrays.masks) for window in windows])
        np.save(made / "masks.npy", masks, allow_pickle=False)
        done = 0
        pictures = (crop(window, images.arrays.images) for window in windows)
        front = _front(graph_at((3, height, width)), nodes, backbone)
        for done in _pass(front, pictures, len(windows), made, "train", nodes):
            task.update(done)
        front = _front(graph_at((3, *images.size_hw)), nodes, backbone)
        whole = (np.asarray(images.arrays.images[index]) for index in images.held)
        for held in _pass(front, whole, len(images.held), made, "held", nodes):
            task.update(done + held)


def _front(graph: OpGraph, nodes: Sequence[str], backbone: Backbone) -> nn.Module:
    network = compile_graph(graph, seed=0)
    network.load_state_dict(backbone.start(graph, 0))
    return channels_last(Front(network, nodes).eval())


def _pass(
    front: nn.Module, pictures: Iterator[np.ndarray], count: int, made: Path, part: str, nodes: Sequence[str]
) -> Iterator[int]:
    """Run all pictures through and append what comes out to a file a node. Yields how many are done."""
    streams: dict[str, Any] = {}
    try:
        done = 0
        while batch := [picture for _, picture in zip(range(BATCH), pictures, strict=False)]:
            with torch.inference_mode():
                values: dict[str, Tensor] = front(normalize(torch.from_numpy(np.stack(batch))))
            for number, node in enumerate(nodes):
                array = values[node].to(torch.float16, memory_format=torch.contiguous_format).numpy()
                if node not in streams:
                    streams[node] = (made / f"{part}-{number}.npy").open("wb")
                    header = {"descr": "<f2", "fortran_order": False, "shape": (count, *array.shape[1:])}
                    np.lib.format.write_array_header_1_0(streams[node], header)
                streams[node].write(array.tobytes())
            done += len(batch)
            yield done
    finally:
        for stream in streams.values():
            stream.close()


def _open(place: Path, nodes: Sequence[str]) -> Features | None:
    """The entry in ``place``, or None where there is none or it is damaged."""
    try:
        json.loads((place / "entry.json").read_text(encoding="utf-8"))
        train, held = (
            {
                node: np.load(place / f"{part}-{number}.npy", mmap_mode="r", allow_pickle=False)
                for number, node in enumerate(nodes)
            }
            for part in ("train", "held")
        )
        return Features(train, np.load(place / "masks.npy", mmap_mode="r", allow_pickle=False), held)
    except (OSError, ValueError):
        return None
