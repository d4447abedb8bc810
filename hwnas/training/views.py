"""Multi-scale and flipped evaluation: the mean prediction over several views of each image.

It is what many papers report, and what no real-time network runs: keep it apart from an engine's mIoU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hwnas.compiler.network import Network
from hwnas.data.cache import Arrays
from hwnas.data.preprocess import normalize
from hwnas.data.scoring import Score
from hwnas.errors import HwnasError
from hwnas.progress import Progress, Silent
from hwnas.training.losses import fitted
from hwnas.training.metrics import Meter
from hwnas.training.sizes import GraphAt, at_shape


@dataclass(frozen=True)
class Views:
    """The sizes that each image is shown at, relative to its own, and whether it is shown mirrored, too."""

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if not self.scales or len(set(self.scales)) < len(self.scales):
            raise HwnasError("no scale may be missing or occur twice", "write them like --eval-scales 0.75,1,1.25")
        if bad := [scale for scale in self.scales if not 0.1 <= scale <= 4]:
            raise HwnasError(f"images cannot be shown at {bad[0]:g} of their size", "give scales from 0.1 to 4")

    def sizes(self, size_hw: tuple[int, int]) -> list[tuple[int, int]]:
        """Height and width at each scale, in multiples of 4 pixels but for the images' own size."""
        height, width = size_hw
        return [size_hw if s == 1 else (_fours(height * s), _fours(width * s)) for s in self.scales]


@torch.inference_mode()
def evaluate_views(
    network: Network,
    graph_at: GraphAt,
    arrays: Arrays,
    classes: int,
    views: Views,
    *,
    batch: int = 4,
    progress: Progress | None = None,
) -> Score:
    """The score of ``network``'s mean prediction over the views of all images.

    The probabilities of each view, resized bilinearly to the images' size, are averaged. ``graph_at`` is the network's
    architecture. The network is put into evaluation mode and left there.
    """
    network.eval()
    device = next(network.parameters()).device
    size_hw: tuple[int, int] = arrays.images.shape[1:3]
    networks = {size: at_shape(network, graph_at, (3, *size)).to(device).eval() for size in views.sizes(size_hw)}
    meter = Meter(classes)
    with (progress or Silent()).task("evaluate several views", len(arrays)) as task:
        for start in range(0, len(arrays), batch):
            part = slice(start, start + batch)
            images = normalize(torch.from_numpy(np.ascontiguousarray(arrays.images[part])).to(device))
            masks = torch.from_numpy(np.ascontiguousarray(arrays.masks[part]))
            shown = torch.stack(list(_predictions(networks, images, masks.to(device), flip=views.flip)))
            meter.update(shown.mean(0).argmax(1), masks)
            task.update(min(start + batch, len(arrays)))
    return meter.score()


def _predictions(
    networks: dict[tuple[int, int], Network], images: Tensor, masks: Tensor, *, flip: bool
) -> Iterator[Tensor]:
    """Probabilities (N, K, H, W) of each view."""
    for size, network in networks.items():
        resized = images
        if size != tuple(images.shape[2:]):
            resized = F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
        yield fitted(network(resized), masks).softmax(1)
        if flip:
            yield fitted(network(resized.flip(-1)), masks).softmax(1).flip(-1)


def parse_scales(text: str) -> tuple[float, ...]:
    """``"0.75,1,1.25"`` → (0.75, 1.0, 1.25); a HwnasError for anything else."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise HwnasError(f"{text!r} are no scales", "write them like --eval-scales 0.75,1,1.25") from None


def _fours(pixels: float) -> int:
    return max(4, round(pixels / 4) * 4)
