"""From pixels to the network's input, written once: training, export checks and engines all use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of ImageNet's RGB images on the scale 0..1."""


def normalize(images_NHWC: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) RGB → float32 (N, 3, H, W), contiguous, on the same device."""
    import torch

    mean = torch.tensor(MEAN, device=images_NHWC.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD, device=images_NHWC.device).view(1, 3, 1, 1) * 255
    images = images_NHWC.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return images.sub_(mean).div_(std)


def normalize_array(images_NHWC: np.ndarray) -> np.ndarray:
    """As :func:`normalize`, without torch: uint8 (N, H, W, 3) → float32 (N, 3, H, W)."""
    mean = np.array(MEAN, np.float32).reshape(1, 3, 1, 1) * np.float32(255)
    std = np.array(STD, np.float32).reshape(1, 3, 1, 1) * np.float32(255)
    images = np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2), dtype=np.float32)
    images -= mean
    images /= std
    return images


def input_contract() -> dict[str, Any]:
    """What an exported network expects, for its manifest."""
    return {
        "layout": "NCHW",
        "dtype": "float32",
        "color": "RGB",
        "range": "0..1, then (x - mean) / std",
        "mean": list(MEAN),
        "std": list(STD),
        "resize": "the whole image to the input size, bilinear with antialiasing (Pillow's BILINEAR)",
    }
