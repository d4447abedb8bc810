"""Paths through resolutions as a relaxation sees them (Auto-DeepLab, arXiv 1901.02985, section 4).

A place is a layer and a level (0: stride 4 … 3: stride 32); a path visits one place a layer, from level 0 on, and goes
at most one level at a time. β weighs the steps and is normalised over the *outgoing* edges of each place (equation 7),
so a path's probability is the product of its steps', all paths together have probability 1, and the most probable path
is found by Viterbi's recursion. Steps that would leave the trellis, and those from places that no path visits, have
probability 0. All of this is in arrays of shape (layers - 1, levels, 3), one step a place to the levels -1, 0 and +1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

STEPS = (-1, 0, 1)
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Path = tuple[int, ...]


def paths(length: int, start: int, levels: int) -> list[Path]:
    """All paths of ``length`` levels whose first is at most one from ``start``, each one step from the one before."""
    found: list[Path] = [()]
    for _ in range(length):
        found = [
            (*path, level)
            for path in found
            for level in range(levels)
            if abs(level - (path[-1] if path else start)) <= 1
        ]
    return found


def all_paths(layers: int, levels: int) -> Ints:
    """Every path from level 0, shape (paths, layers)."""
    return np.array([(0, *rest) for rest in paths(layers - 1, 0, levels)], dtype=np.int64)


def legal_steps(layers: int, levels: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which steps some path takes, shape (layers - 1, levels, 3)."""
    layer, level, step = np.indices((layers - 1, levels, len(STEPS)))
    target = level + step - 1
    found: np.ndarray[Any, np.dtype[np.bool_]] = (level <= layer) & (target >= 0) & (target < levels)
    return found


def normalised(beta: Tensor) -> Tensor:
    """β, shape (layers - 1, levels, 3) → probabilities of the steps, summing to 1 over those out of every place.

    Differentiable; zero where a step is illegal.
    """
    import torch

    layers, levels, _ = beta.shape
    legal = torch.from_numpy(legal_steps(layers + 1, levels)).to(beta.device)
    masked = beta.masked_fill(~legal, -torch.inf)
    visited = legal.any(dim=-1, keepdim=True)
    shares = torch.softmax(torch.where(visited, masked, torch.zeros_like(masked)), dim=-1)
    return torch.where(legal, shares, torch.zeros_like(shares))


def path_probabilities(steps: Any, paths_taken: Ints, first_layer: int = 0) -> Any:
    """The probability of each path, shape (paths,), in the array type of ``steps`` and differentiable if that is.

    ``paths_taken`` are levels, shape (paths, places); their first place is in ``first_layer``.
    """
    product: Any = None
    for place in range(paths_taken.shape[1] - 1):
        here, there = paths_taken[:, place], paths_taken[:, place + 1]
        taken = steps[first_layer + place, here, there - here + 1]
        product = taken if product is None else product * taken
    return product if product is not None else steps.reshape(-1)[:1] * 0 + 1


def place_probabilities(steps: Floats) -> Floats:
    """How likely a path visits each place, shape (layers, levels), by forward recursion."""
    layers, levels = steps.shape[0] + 1, steps.shape[1]
    chance = np.zeros((layers, levels))
    chance[0, 0] = 1.0
    for layer in range(layers - 1):
        for level in range(levels):
            for step in STEPS:
                if 0 <= level + step < levels:
                    chance[layer + 1, level + step] += chance[layer, level] * steps[layer, level, step + 1]
    return chance


@dataclass(frozen=True)
class Decoded:
    """The most probable path and the second; ``gap`` is the ratio of their probabilities (infinite for one path)."""

    path: Path
    probability: float
    second: Path | None = None
    second_probability: float = 0.0

    @property
    def gap(self) -> float:
        return self.probability / self.second_probability if self.second_probability > 0 else math.inf


def viterbi(steps: Floats) -> Decoded:
    """Decode the path (Viterbi's recursion, keeping the best two at every place); ties go to the lower levels.

    ``steps`` are :func:`normalised`, float64, shape (layers - 1, levels, 3).
    """
    with np.errstate(divide="ignore"):
        logs = np.log(steps)
    best: dict[int, list[tuple[float, Path]]] = {0: [(0.0, (0,))]}
    for layer in range(steps.shape[0]):
        following: dict[int, list[tuple[float, Path]]] = {}
        for level, ranked in best.items():
            for step in STEPS:
                log = float(logs[layer, level, step + 1])
                if math.isfinite(log):
                    arrived = following.setdefault(level + step, [])
                    arrived += [(score + log, (*path, level + step)) for score, path in ranked]
        best = {level: sorted(arrived, key=_rank)[:2] for level, arrived in following.items()}
    ranked = sorted((item for arrived in best.values() for item in arrived), key=_rank)
    (score, path), *others = ranked
    if not others:
        return Decoded(path, math.exp(score))
    return Decoded(path, math.exp(score), others[0][1], math.exp(others[0][0]))


def _rank(item: tuple[float, Path]) -> tuple[float, Path]:
    return -item[0], item[1]
