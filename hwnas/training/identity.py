"""What a training is of, so that a checkpoint is never taken up by another one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from hwnas.data.cache import Arrays
from hwnas.training.recipe import Recipe

SAMPLED = 8
"""Images that are looked at to tell data from other data."""


def identity_of(
    what: Mapping[str, Any], arrays: Arrays, indices: np.ndarray, *, recipe: Recipe, seed: int
) -> dict[str, Any]:
    """A JSON document: ``what`` is trained (a network's or a space's facts), on what, how, and the seed."""
    return {**what, "data": data_facts(arrays, indices), "recipe": recipe.to_dict(), "seed": seed}


def data_facts(arrays: Arrays, indices: np.ndarray) -> dict[str, Any]:
    """Size and number of the images that are trained on, and a digest of their names and of some of their pixels."""
    digest = hashlib.sha256()
    for index in indices:
        digest.update(arrays.keys[int(index)].encode() + b"\n")
    for index in indices[np.linspace(0, len(indices) - 1, SAMPLED).round().astype(int)]:
        digest.update(np.ascontiguousarray(arrays.images[index]).tobytes())
        digest.update(np.ascontiguousarray(arrays.masks[index]).tobytes())
    return {"size_hw": list(arrays.images.shape[1:3]), "images": len(indices), "digest": digest.hexdigest()[:16]}


def tensors_digest(tensors: Mapping[str, Tensor] | None) -> str:
    """Of names, shapes and values; empty for None."""
    if tensors is None:
        return ""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)}\n".encode())
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
