"""Random scale, crop, flip and colour, on a batch of byte images at once. Torch is imported when it is used.

Scaling and cropping are one step: the part of the image that the crop will show is cut out first and resized once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.data.base import IGNORE
from hwnas.data.preprocess import MEAN, STD

if TYPE_CHECKING:
    from torch import Tensor

GRAY = (0.299, 0.587, 0.114)
"""Luma of RGB (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is varied. ``scale`` is relative to the images' own pixels; the colour fields are the largest change."""

    crop_hw: tuple[int, int]
    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3

    def __call__(
        self,
        images: Sequence[np.ndarray] | np.ndarray,
        masks: Sequence[np.ndarray] | np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[Tensor, Tensor]:
        """N images (H, W, 3) uint8 and masks (H, W) uint8 → (N, 3, h, w) float32 normalised, (N, h, w) int64.

        Where a scaled image is smaller than the crop it lies at a random place in it; around it the input is zero
        (ImageNet's mean colour) and the label 255.
        """
        import torch

        count = len(images)
        pixels = torch.empty((count, 3, *self.crop_hw))
        labels = np.full((count, *self.crop_hw), IGNORE, np.uint8)
        inside = []
        for place in range(count):
            view = _draw_view(images[place].shape[:2], self.crop_hw, rng.uniform(*self.scale), rng)
            flip = self.flip and rng.random() < 0.5
            _show(images[place], masks[place], view, flip, pixels[place], labels[place])
            inside.append(view)
        _color(pixels, self._color_maps(pixels, inside, rng))
        for place, view in enumerate(inside):
            _blank_outside(pixels[place], view)
        return pixels, torch.from_numpy(labels).long()

    def _color_maps(
        self, pixels: Tensor, views: Sequence[_View], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each image the matrix (3, 3) and offset (3,) that change brightness, contrast and saturation, 0..1."""
        count = len(pixels)
        luma = np.tile(np.array(GRAY), (3, 1))
        brightness = 1 + rng.uniform(-self.brightness, self.brightness, count)
        contrast = 1 + rng.uniform(-self.contrast, self.contrast, count)
        saturation = 1 + rng.uniform(-self.saturation, self.saturation, count)
        matrices = saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * luma
        matrices *= (brightness * contrast)[:, None, None]
        middle = np.array([_mean_luma(pixels[place], view) for place, view in enumerate(views)])
        offsets = ((1 - contrast) * brightness * middle)[:, None] * np.ones(3)
        return matrices, offsets


@dataclass(frozen=True)
class _View:
    """The rectangle of the source (top, left, height, width) and the one of the crop that it fills; ``flipped`` too."""

    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]


def _draw_view(source_hw: tuple[int, ...], crop_hw: tuple[int, int], scale: float, rng: np.random.Generator) -> _View:
    top, height, to_top, to_height = _draw_span(source_hw[0], crop_hw[0], scale, rng)
    left, width, to_left, to_width = _draw_span(source_hw[1], crop_hw[1], scale, rng)
    return _View((top, left, height, width), (to_top, to_left, to_height, to_width))


def _draw_span(source: int, crop: int, scale: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Along one axis: source start and length, crop start and length."""
    needed = max(round(crop / scale), 1)
    if needed <= source:
        return int(rng.integers(0, source - needed + 1)), needed, 0, crop
    shown = min(max(round(source * scale), 1), crop)
    return 0, source, int(rng.integers(0, crop - shown + 1)), shown


def _show(image: np.ndarray, mask: np.ndarray, view: _View, flip: bool, pixels: Tensor, labels: np.ndarray) -> None:
    """Fill the view's target in ``pixels`` (3, h, w; 0..255) and ``labels`` (h, w), mirrored within it if ``flip``."""
    import torch
    from torch.nn import functional

    top, left, height, width = view.source
    to_top, to_left, to_height, to_width = view.target
    # A copy of the part in view: the array may be a read-only memory map.
    part = torch.from_numpy(np.array(image[top : top + height, left : left + width])).permute(2, 0, 1)[None]
    if (height, width) != (to_height, to_width):
        # On bytes torch has a fast path for this layout, about 0.4 ms for 240x320.
        part = functional.interpolate(part, (to_height, to_width), mode="bilinear", antialias=True)
    rows = top + (2 * np.arange(to_height) + 1) * height // (2 * to_height)
    columns = left + (2 * np.arange(to_width) + 1) * width // (2 * to_width)
    shown = mask[rows[:, None], columns]
    target = (slice(to_top, to_top + to_height), slice(to_left, to_left + to_width))
    pixels[:, target[0], target[1]] = part[0].flip(-1) if flip else part[0]
    labels[target] = shown[:, ::-1] if flip else shown


def _mean_luma(pixels: Tensor, view: _View) -> float:
    """Mean luma 0..1 of what the view shows, from every eighth pixel of every eighth row."""
    top, left, height, width = view.target
    shown = pixels[:, top : top + height : 8, left : left + width : 8].mean((1, 2))
    return float(sum(weight * value for weight, value in zip(GRAY, shown.tolist(), strict=True))) / 255


def _color(pixels: Tensor, maps: tuple[np.ndarray, np.ndarray]) -> None:
    """Apply the colour maps to ``pixels`` (N, 3, h, w; 0..255) in place, clip to what a camera can give, normalise."""
    import torch

    matrices, offsets = maps
    flat = pixels.flatten(2)
    mean, std = np.array(MEAN), np.array(STD)
    # Normalisation is folded in: clip((Ax + b), 0, 1) then (y - mean) / std is one product and a clip per channel.
    product = torch.from_numpy((matrices / 255 / std[:, None]).astype(np.float32))
    offset = torch.from_numpy(((offsets - mean) / std).astype(np.float32))[:, :, None]
    colored = torch.baddbmm(offset, product, flat)
    for channel in range(3):
        low, high = -mean[channel] / std[channel], (1 - mean[channel]) / std[channel]
        torch.clamp(colored[:, channel], low, high, out=flat[:, channel])


def _blank_outside(pixels: Tensor, view: _View) -> None:
    top, left, height, width = view.target
    pixels[:, :top] = 0
    pixels[:, top + height :] = 0
    pixels[:, :, :left] = 0
    pixels[:, :, left + width :] = 0
