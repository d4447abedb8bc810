"""How the minutes of a deployment are divided."""

from __future__ import annotations

from dataclasses import dataclass

PROFILE = 0.2
"""Profiling takes at most this part of the whole; users are promised a quarter."""

FINISH_S = 45.0
"""Seconds kept for what no clock bounds, at least: pricing the space, export, validation, pictures."""
FINISH = 0.05

SUPERNET, SEARCH, FINALS, TRAIN = 0.25, 0.05, 0.20, 0.50
"""Parts of what profiling and finishing leave."""


@dataclass(frozen=True)
class Shares:
    """Seconds of each stage that a clock bounds."""

    supernet: float
    search: float
    finals: float
    train: float


def profile_seconds(total_s: float) -> float:
    """What profiling may take of ``total_s``."""
    return PROFILE * total_s


def divide(left_s: float, total_s: float) -> Shares:
    """Divide the ``left_s`` seconds that remain of ``total_s`` after profiling. No stage gets less than a second."""
    free = max(left_s - max(FINISH_S, FINISH * total_s), 3.0)
    return Shares(SUPERNET * free, SEARCH * free, FINALS * free, TRAIN * free)
