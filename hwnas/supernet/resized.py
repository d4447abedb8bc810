"""Images and labels of a data set at another size, as scores and losses of slices see them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hwnas.data.cache import Arrays
from hwnas.data.preprocess import normalize


def images_at(arrays: Arrays, part: np.ndarray, size_hw: tuple[int, int]) -> Tensor:
    """The images at ``part``, normalised, shape (N, 3, height, width); shrunk without aliasing."""
    images = normalize(torch.from_numpy(np.ascontiguousarray(arrays.images[part])))
    if images.shape[2:] != size_hw:
        images = torch.nn.functional.interpolate(images, size=size_hw, mode="bilinear", antialias=True)
    return images.contiguous(memory_format=torch.channels_last)


def masks_at(arrays: Arrays, part: np.ndarray, size_hw: tuple[int, int]) -> Tensor:
    """Labels at the middle of each pixel of ``size_hw``, shape (N, height, width)."""
    masks = np.ascontiguousarray(arrays.masks[part])
    rows, columns = (
        (2 * np.arange(size) + 1) * full // (2 * size) for size, full in zip(size_hw, masks.shape[1:], strict=True)
    )
    return torch.from_numpy(np.ascontiguousarray(masks[:, rows[:, None], columns]))
