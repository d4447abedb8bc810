"""Held-out images out of a training sequence, in contiguous blocks.

The frames of a driving video look like their neighbours. Held out at random, nearly every held-out frame would have a
near twin among the training frames, and the score would tell memory from skill no longer. Blocks have neighbours only
at their two ends, and ``gap`` leaves those out.
"""

from __future__ import annotations

import numpy as np

from hwnas.errors import DataError

BLOCKS = 5


def split_blocks(
    count: int, fraction: float = 0.15, blocks: int = BLOCKS, *, gap: int = 0, amounts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split ``range(count)`` into sorted (train_indices, held_indices), int64, always in the same way.

    ``round(count * fraction)`` indices (at least one, at most ``count - 1``) are held out in ``blocks`` contiguous
    blocks (fewer where there are fewer held indices), one in each of ``blocks`` equal stretches of the sequence: in the
    middle, or, given ``amounts`` (count, classes: how much of each class each image shows), where the held part's mix
    of classes comes nearest to the whole's, rare classes as weighty as common ones. ``gap`` indices on either side of a
    block are in neither part.
    """
    if count < 2:
        raise DataError(f"{count} images cannot be split into a training and a held-out part", "add images")
    if not 0 < fraction < 1:
        raise DataError(f"the held-out fraction {fraction} is not between 0 and 1", "the usual one is 0.15")
    held_count = min(max(round(count * fraction), 1), count - 1)
    blocks = min(max(blocks, 1), held_count)
    edges = np.linspace(0, count, blocks + 1).round().astype(int)
    sizes = np.minimum(np.diff(np.linspace(0, held_count, blocks + 1).round().astype(int)), np.diff(edges))
    _hand_out(sizes, np.diff(edges), held_count)
    starts = edges[:-1] + (np.diff(edges) - sizes) // 2
    if amounts is not None:
        starts = _place(starts, sizes, edges, np.asarray(amounts, float))
    held = np.zeros(count, bool)
    near = np.zeros(count, bool)
    for start, size in zip(starts, sizes, strict=True):
        held[start : start + size] = True
        near[max(start - gap, 0) : start + size + gap] = True
    train = np.flatnonzero(~(held | near))
    if not len(train):
        raise DataError(f"a gap of {gap} leaves none of {count} images to train on", "use a smaller gap")
    return train, np.flatnonzero(held)


def _hand_out(sizes: np.ndarray, room: np.ndarray, total: int) -> None:
    """Raise ``sizes`` in place, where there is room, until they sum to ``total`` (rounding may have cut some)."""
    while sizes.sum() < total:
        sizes[np.argmax(room - sizes)] += 1


def _place(starts: np.ndarray, sizes: np.ndarray, edges: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Move each block within its stretch, in turn, to where the mix fits best, until none moves."""
    total = amounts.sum(0)
    shown = total > 0
    sums = np.vstack([np.zeros(shown.sum()), np.cumsum(amounts[:, shown] / total[shown], 0)])
    target = sizes.sum() / len(amounts)
    starts = starts.copy()
    for _ in range(10):
        before = starts.copy()
        for place, size in enumerate(sizes):
            others = np.delete(np.arange(len(sizes)), place)
            rest = (sums[starts[others] + sizes[others]] - sums[starts[others]]).sum(0)
            options = np.arange(edges[place], edges[place + 1] - size + 1)
            shares = rest + sums[options + size] - sums[options]
            # Shares are of the class's own total, so a class of 0.3% counts as much as one of 30%. The logarithm makes
            # a class that is hardly held out (or hardly left to train on) worse than one that is somewhat off.
            tiny = target / 50
            odds = np.log((shares + tiny) / (1 - shares + tiny)) - np.log(target / (1 - target))
            starts[place] = options[np.argmin((odds**2).sum(1))]
        if (starts == before).all():
            break
    return starts
