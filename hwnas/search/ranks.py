"""How well one score orders candidates as another does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None for fewer than three pairs, or where all are tied."""
    if len(a) < 3:
        return None
    ranks_a, ranks_b = _ranks(a), _ranks(b)
    spread = float(ranks_a.std() * ranks_b.std())
    if spread == 0:
        return None
    return float(((ranks_a - ranks_a.mean()) * (ranks_b - ranks_b.mean())).mean() / spread)


def spearman_interval(
    a: Sequence[float], b: Sequence[float], rng: np.random.Generator, *, resamples: int = 500, share: float = 0.9
) -> tuple[float, float]:
    """The middle ``share`` of Spearman's correlation over bootstrap resamples of the pairs; (-1, 1) if it has none."""
    first, second = np.asarray(a), np.asarray(b)
    found = []
    for _ in range(resamples):
        chosen = rng.integers(len(first), size=len(first))
        rho = spearman(first[chosen], second[chosen])  # type: ignore[arg-type]
        if rho is not None:
            found.append(rho)
    if not found:
        return -1.0, 1.0
    low, high = np.quantile(found, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _ranks(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, float)
    _, places, counts = np.unique(array, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts + 1) / 2)[places]
    return ranks
