"""The sites of Auto-DeepLab's space: ops of cells between three levels of the path, the cells, and the head.

What a layer's nodes are is decided by its *window*: the levels of its cell and of the two before. Cell and path are
drawn independently: an op of the cell occurs as often as its edge does in the cell times the window does on the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.shapes import Value
from hwnas.skeletons.auto_deeplab import CELL_INPUTS, LEVELS, LOW_LEVEL_LAYER
from hwnas.spaces.auto_deeplab import OPS, SIDES, inputs_of, levels_of, path_of, states_of
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import random_decisions
from hwnas.spaces.sites.base import Constants, Site, Spot

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.spaces.auto_deeplab import AutoDeepLabSpace

_OP = re.compile(r"cell(\d+)/block(\d+)_(left|right)_(\w+)")
_CELL = re.compile(r"cell(\d+)/.*")
Window = tuple[int, ...]
"""How many layers are before, up to 2, and the levels of those and of the layer itself."""


class AutoDeepLabSites:
    """Groups: ``ops`` (windows, kinds of state, ops), ``cells`` (windows,) for the rest of a cell, ``rest`` (levels,
    levels): stem and head, by the levels of the layer that gives the finer features and of the last one."""

    def __init__(self, space: AutoDeepLabSpace) -> None:
        self.space, self.blocks = space, space.blocks
        self._constants = Constants()
        by_name = {choice.name: choice.options for choice in space.choices}
        self._halves = [
            (f"path.late.from{levels_of(early)[-1]}", early, by_name[f"path.late.from{levels_of(early)[-1]}"])
            for early in by_name["path.early"]
        ]

    def proposal(self, rng: np.random.Generator) -> dict[str, Value]:
        return random_decisions(self.space, rng)

    def reading(self, decisions: Decisions) -> _Reading:
        path = path_of(decisions)
        windows = [self._windows[_window(path, layer)] for layer in range(len(path))]
        ops: dict[tuple[int, str], tuple[int, int]] = {}
        for number in range(1, self.blocks + 1):
            for side, state in zip(SIDES, inputs_of(decisions, number), strict=True):
                op = OPS.index(str(decisions[f"block{number}.{side}.from{state}.op"]))
                ops[number, side] = _kind(state), op
        return _Reading(windows, ops, _ends(path))

    def counts(self, meant: Mapping[str, Tensor]) -> dict[str, Tensor]:
        import torch

        early = meant["path.early"]
        chances = torch.cat([early[place] * meant[late] for place, (late, _, _) in enumerate(self._halves)])
        seen = chances @ self._constants.get("shown", self._shown, chances)
        windows, ends = seen[: len(self._windows)], seen[len(self._windows) :]
        ops = windows[:, None, None] * self._edges(meant)
        return {"ops": ops, "cells": windows, "rest": ends.reshape(LEVELS, LEVELS)}

    def _edges(self, meant: Mapping[str, Tensor]) -> Tensor:
        """How often a cell has each op on each kind of state, shape (3, ops)."""
        import torch

        parts: list[list[Tensor]] = [[], [], []]
        for number in range(1, self.blocks + 1):
            states = states_of(number)
            pairs = meant[f"block{number}.inputs"].reshape(len(states), len(states))
            for axis, side in enumerate(SIDES):
                for state, taken in zip(states, pairs.sum(1 - axis), strict=True):
                    parts[_kind(state)].append(taken * meant[f"block{number}.{side}.from{state}.op"])
        none = parts[0][0] * 0
        return torch.stack([sum(found, start=none) for found in parts])

    @cached_property
    def _paths(self) -> list[tuple[int, ...]]:
        """In the order of the options of the first half, then of the second."""
        return [(*levels_of(early), *levels_of(late)) for _, early, lates in self._halves for late in lates]

    @cached_property
    def _windows(self) -> dict[Window, int]:
        """Every window of any path → its number."""
        found = dict.fromkeys(_window(path, layer) for path in self._paths for layer in range(len(path)))
        return {window: number for number, window in enumerate(found)}

    @cached_property
    def _shown(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """How often each path has each window, and its ends, shape (paths, windows + levels²)."""
        shown = np.zeros((len(self._paths), len(self._windows) + LEVELS**2))
        for row, path in zip(shown, self._paths, strict=True):
            for layer in range(len(path)):
                row[self._windows[_window(path, layer)]] += 1
            low, last = _ends(path)
            row[len(self._windows) + LEVELS * low + last] = 1
        return shown


@dataclass(frozen=True)
class _Reading:
    windows: Sequence[int]
    ops: Mapping[tuple[int, str], tuple[int, int]]
    """(block, side) → kind of its state, op."""
    ends: tuple[int, int]

    def node(self, name: str) -> Spot:
        if found := _OP.fullmatch(name):
            return ("ops", (self.windows[int(found[1])], *self.ops[int(found[2]), found[3]])), name
        if found := _CELL.fullmatch(name):
            return ("cells", (self.windows[int(found[1])],)), found[1]
        return ("rest", self.ends), ""

    def shown(self) -> Iterable[Site]:
        return (("ops", (window, *op)) for window in set(self.windows) for op in self.ops.values())

    def edge(self, consumer: str, slot: int, producer: str) -> Spot:
        """Both edges of an op are the op's."""
        ours = producer if _OP.fullmatch(producer) and not _OP.fullmatch(consumer) else consumer
        return self.node(ours)


def _kind(state: str) -> int:
    """``current``, ``previous`` or some earlier block."""
    return CELL_INPUTS.index(state) if state in CELL_INPUTS else len(CELL_INPUTS)


def _window(path: Sequence[int], layer: int) -> Window:
    before = min(layer, 2)
    return (before, *path[layer - before : layer + 1])


def _ends(path: Sequence[int]) -> tuple[int, int]:
    return path[min(LOW_LEVEL_LAYER, len(path) - 1)], path[-1]
