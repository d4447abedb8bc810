"""Any path of a space, whatever it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.shapes import Value
from hwnas.spaces.base import Decisions, SearchSpace
from hwnas.spaces.decisions import canonical


class Uniform:
    """Any genotype of the space, as the space samples them."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def paths(self, count: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        return [canonical(self.space, self.space.sample(rng)) for _ in range(count)]

    def feedback(self, paths: Sequence[Decisions], losses: Sequence[float]) -> None:
        pass

    def advance(self, fraction: float) -> None:
        pass

    @property
    def settled(self) -> bool:
        return False

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass
