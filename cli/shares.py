"""How the minutes of a deployment are divided."""

from __future__ import annotations

from dataclasses import dataclass

PROFILE, KERNELS_S, PROFILE_MORE = 0.2, 60.0, 0.08
"""Profiling takes at most the first part of the whole, and no more than those seconds and the last part: a space has so
many kernels and no more, and a table hardly gains by what they are timed beyond that. Users are promised a quarter."""

FINISH_S = 45.0
"""Seconds kept for what no clock bounds, at least: pricing the space, export, validation, pictures."""
FINISH = 0.05

BACKBONE = 0.25
"""Part of a search that training a backbone takes, where a method takes one as given and there are no weights."""

SUPERNET, SEARCH, FINALS, TRAIN = 0.15, 0.05, 0.20, 0.60
"""Parts of what profiling and finishing leave."""


@dataclass(frozen=True)
class Shares:
    """Seconds of each stage that a clock bounds.

    ``train`` is the whole final training of the chosen network, its beginning in the finals included; ``finals`` is
    what the other finalists may take.
    """

    supernet: float
    search: float
    finals: float
    train: float
    backbone: float = 0.0
    """Of a backbone that is taken as given, and has no weights yet."""

    def with_backbone(self) -> Shares:
        """The same seconds with a part for a backbone, taken evenly from what comes before the last training."""
        before = self.supernet, self.search, self.finals
        supernet, search, finals = ((1 - BACKBONE) * each for each in before)
        return Shares(supernet, search, finals, self.train, BACKBONE * sum(before))

    def without_finals(self) -> Shares:
        """The same seconds, those of the finals for the search, whose own scores decide."""
        return Shares(self.supernet, self.search + self.finals, 0.0, self.train, self.backbone)

    def without_supernet(self) -> Shares:
        """The same seconds, those of the supernet for a search that trains its candidates itself."""
        return Shares(0.0, self.supernet + self.search, self.finals, self.train)


def profile_seconds(total_s: float) -> float:
    """What profiling may take of ``total_s``."""
    return min(PROFILE * total_s, KERNELS_S + PROFILE_MORE * total_s)


def divide(left_s: float, total_s: float) -> Shares:
    """Divide the ``left_s`` seconds that remain of ``total_s`` after profiling. No stage gets less than a tenth of a
    second."""
    free = max(left_s - max(FINISH_S, FINISH * total_s), 3.0)
    return Shares(SUPERNET * free, SEARCH * free, FINALS * free, TRAIN * free)
