"""The sites of FasterSeg's space: layers between scales and widths, what lies between two of them, and merges.

Where the two branches stride is decided by four choices of about 1,500 joint options, their *ways*; how often a layer
stands between two scales is a sum over these. Ops and widths are drawn independently of the ways. An edge's cost takes
the ops at its two ends, which depend on widths where an op is a skip: an identity only between equal ones.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.shapes import Value
from hwnas.skeletons.fasterseg import OPS, SCALES, Branch, shared_layers
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import random_decisions
from hwnas.spaces.fasterseg import WIDTHS
from hwnas.spaces.sites.base import Constants, Site, Spot

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.spaces.fasterseg import FasterSegSpace

SKIP = OPS[0]
CONVS = len(OPS) - 1
REDUCE, POINTWISE, IDENTITY = range(CONVS, CONVS + 3)
"""What a skip is: where it strides, where its widths differ, and where they do not. Ops are 0 to CONVS - 1."""
PLACED = CONVS + 3
STEM = PLACED
"""Feeds a layer or a merge, too."""
FINER, ARM, FUSION = range(PLACED, PLACED + 3)
"""What takes a layer's map beside layers: the two inputs of a merge, and what joins the branches."""
FULL = len(WIDTHS) - 1
_LAYER = re.compile(r"(shared|branch(\d))/layer(\d+)")
_MERGE = re.compile(r"branch(\d)/merge(\d+)/(\w+)")


class FasterSegSites:
    """Groups: ``layers`` (scale, next scale, op, width, next width), ``edges`` (scale, width, what feeds it, what takes
    it), ``merges`` (scale, width of the finer map) and ``rest`` (whether the other branch ends at stride 8)."""

    def __init__(self, space: FasterSegSpace) -> None:
        self.space, self.layers = space, space.layers
        self.constants = Constants()

    def proposal(self, rng: np.random.Generator) -> dict[str, Value]:
        """Often of few ops, a skip among them, and of few widths: so that neighbours are alike, or both skips."""
        decisions = random_decisions(self.space, rng)
        if rng.random() < 0.3:
            return decisions
        ops: list[Value] = [SKIP, OPS[int(rng.integers(len(OPS)))]]
        widths: list[Value] = [WIDTHS[int(rng.integers(len(WIDTHS)))] for _ in range(2)]
        for name in decisions:
            if name.endswith(".op"):
                decisions[name] = ops[int(rng.integers(2))]
            elif name.endswith(".width"):
                decisions[name] = widths[int(rng.integers(2))]
        return decisions

    def reading(self, decisions: Decisions) -> _Reading:
        return _Reading(self.space.branches(decisions))

    def counts(self, meant: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return _Counting(self, meant).counts()

    @cached_property
    def ways(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The paths of both branches, in the order of :meth:`chances`."""
        deep = [self._path(first, second) for first in range(self.layers - 2) for second in self._seconds(first)]
        other = [self._path(), *(self._path(down) for down in range(self.layers - 1))]
        return list(itertools.product(deep, other))

    def chances(self, meant: Mapping[str, Tensor]) -> Tensor:
        """How likely each way is, shape (ways,)."""
        import torch

        first, other = meant["down32.first"], meant["other"]
        deep = torch.cat([first[place] * meant[f"down32.second{place}"] for place in range(self.layers - 2)])
        return (deep[:, None] * torch.cat([other[1:], other[0] * meant["down16"]])).flatten()

    @cached_property
    def shown(self) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
        """How often each way has, shape (ways, …): ``layers`` (number, scale before, scale, next scale), ``finer``
        (number of what follows the layer that gives a merge its finer map, its scale, the map's), ``last`` (scale)."""
        count = len(self.ways)
        shown = {
            "layers": np.zeros((count, self.layers, SCALES, SCALES, SCALES)),
            "finer": np.zeros((count, self.layers, SCALES, SCALES)),
            "last": np.zeros((count, SCALES)),
        }
        for way, paths in enumerate(self.ways):
            branches = [Branch((SKIP,) * self.layers, path, (1.0,) * (self.layers - 1)) for path in paths]
            for layer, groups in enumerate(shared_layers(branches)):
                for group in groups:
                    shown["layers"][way, layer, *_around(paths[group[0]], layer)] += 1
            for path in paths:
                shown["last"][way, path[-1]] += 1
                for scale in range(path[-1]):
                    behind = _behind(path, scale)
                    shown["finer"][way, behind, path[max(0, behind - 1)], scale] += 1
        return shown

    @cached_property
    def possible(self) -> dict[str, list[list[int]]]:
        """The places in :attr:`shown` that some way has."""
        return {name: np.argwhere(table.any(axis=0)).tolist() for name, table in self.shown.items()}

    def _path(self, *downs: int) -> tuple[int, ...]:
        return tuple(sum(down < layer for down in downs) for layer in range(self.layers))

    def _seconds(self, first: int) -> range:
        return range(first + 1, self.layers - 1)


class _Counting:
    """The counts of one distribution."""

    def __init__(self, sites: FasterSegSites, meant: Mapping[str, Tensor]) -> None:
        import torch

        self.meant, self.count = meant, sites.layers
        chances = sites.chances(meant)
        self.shown = {
            name: torch.tensordot(chances, sites.constants.get(name, table, chances), dims=1)
            for name, table in sites.shown.items()
        }
        self.possible = sites.possible
        self.full = chances.new_zeros(len(WIDTHS))
        self.full[FULL] = 1.0

    def counts(self) -> dict[str, Tensor]:
        none = self.full[0]
        layers = none.new_zeros((SCALES, SCALES, len(OPS), len(WIDTHS), len(WIDTHS)))
        edges = none.new_zeros((SCALES, len(WIDTHS), PLACED + 1, PLACED + 3))
        merges = none.new_zeros((SCALES - 1, len(WIDTHS)))
        for layer, before, scale, after in self.possible["layers"]:
            often = self.shown["layers"][layer, before, scale, after]
            width, next_width = self._width(scale, layer), self._width(after, layer + 1)
            op = self.meant[f"s{8 << scale}.layer{layer}.op"]
            layers[scale, after] += often * op[:, None, None] * width[:, None] * next_width
            takes = _placed(op, after > scale, next_width)
            if layer:
                feeds = self._feeds(layer, before, scale)
                edges[scale, :, :PLACED, :PLACED] += often * width[:, None, None] * feeds[:, :, None] * takes[:, None]
            else:
                edges[scale, FULL, STEM, :PLACED] += often * takes[FULL]
        for behind, before, scale in self.possible["finer"]:
            often = self.shown["finer"][behind, before, scale]
            width = self._width(scale, behind)
            merges[scale] += often * width
            if behind:
                edges[scale, :, :PLACED, FINER] += often * width[:, None] * self._feeds(behind, before, scale)
            else:
                edges[scale, FULL, STEM, FINER] += often
        for (scale,) in self.possible["last"]:
            taker = ARM if scale else FUSION
            last = self._feeds(self.count, scale, scale)[FULL]
            edges[scale, FULL, :PLACED, taker] += self.shown["last"][scale] * last
        return {"layers": layers, "edges": edges, "merges": merges, "rest": self.meant["other"]}

    def _feeds(self, layer: int, before: int, scale: int) -> Tensor:
        """What the layer before ``layer`` is, given the width between the two, shape (widths, PLACED)."""
        op = self.meant[f"s{8 << before}.layer{layer - 1}.op"]
        return _placed(op, scale > before, self._width(before, layer - 1))

    def _width(self, scale: int, layer: int) -> Tensor:
        """Probabilities of the width that a layer takes; the stem and the head are at the full one."""
        if layer in (0, self.count):
            return self.full
        return self.meant[f"s{8 << scale}.layer{layer}.width"]


def _placed(op: Tensor, strides: bool, other_width: Tensor) -> Tensor:
    """What a layer is, by its op and the width at its other end, for each width at this end: (widths, PLACED)."""
    import torch

    convs, none = op[1:].expand(len(WIDTHS), -1), torch.zeros_like(other_width)
    if strides:
        skips = [op[0].expand(len(WIDTHS)), none, none]
    else:
        skips = [none, op[0] * (1 - other_width), op[0] * other_width]
    return torch.cat([convs, torch.stack(skips, dim=1)], dim=1)


def _around(path: Sequence[int], layer: int) -> tuple[int, int, int]:
    """The scales before a layer, at it and behind it."""
    return path[max(0, layer - 1)], path[layer], path[min(layer + 1, len(path) - 1)]


def _behind(path: Sequence[int], scale: int) -> int:
    """The number of the layer that follows the one which gives a branch's last map at ``scale``; 0 for the stem."""
    return max((layer for layer in range(1, len(path)) if path[layer] == scale), default=0)


class _Reading:
    def __init__(self, branches: Sequence[Branch]) -> None:
        self.branches = branches

    def node(self, name: str) -> Spot:
        if found := _LAYER.fullmatch(name):
            return self._layer(self._branch(found[2]), int(found[3])), name
        if found := _MERGE.fullmatch(name):
            branch, stride = self._branch(found[1]), int(found[2])
            scale = (stride // 8).bit_length() - 1
            return ("merges", (scale, _width(branch, _behind(branch.path, scale)))), found[1]
        return ("rest", (int(self.branches[1].path[-1] == 0),)), ""

    def edge(self, consumer: str, slot: int, producer: str) -> Spot:
        feeds = _LAYER.fullmatch(producer)
        merge = _MERGE.fullmatch(consumer)
        taker: int | None = None
        if found := _LAYER.fullmatch(consumer):
            taker = self._placed(self._branch(found[2]), int(found[3]))
        elif merge is not None and merge[3] == "arm":
            taker = ARM
        elif merge is not None and merge[3] == "concat" and not _MERGE.fullmatch(producer):
            taker = FINER
        elif consumer.startswith("fusion/"):
            taker = FUSION
        if feeds is not None and taker is not None:
            return self._edge(self._branch(feeds[2]), int(feeds[3]), taker), (consumer, slot)
        if producer.startswith("stem/") and taker is not None:
            return ("edges", (0, FULL, STEM, taker)), (consumer, slot)
        if taker == ARM:  # a merge of a merge, which the deep branch always has
            return self.node("")
        return self.node(consumer)

    def shown(self) -> Iterable[Site]:
        for branch in self.branches:
            for layer in range(len(branch.path)):
                yield self._layer(branch, layer)
                if layer:
                    yield self._edge(branch, layer - 1, self._placed(branch, layer))

    def _layer(self, branch: Branch, layer: int) -> Site:
        _, scale, after = _around(branch.path, layer)
        op = OPS.index(branch.ops[layer])
        return "layers", (scale, after, op, _width(branch, layer), _width(branch, layer + 1))

    def _edge(self, branch: Branch, layer: int, taker: int) -> Site:
        """What leaves a layer."""
        _, _, scale = _around(branch.path, layer)
        return "edges", (scale, _width(branch, layer + 1), self._placed(branch, layer), taker)

    def _branch(self, number: str | None) -> Branch:
        return self.branches[int(number or 1) - 1]

    def _placed(self, branch: Branch, layer: int) -> int:
        op, (_, scale, after) = branch.ops[layer], _around(branch.path, layer)
        if op != SKIP:
            return OPS.index(op) - 1
        if after > scale:
            return REDUCE
        return IDENTITY if _width(branch, layer) == _width(branch, layer + 1) else POINTWISE


def _width(branch: Branch, layer: int) -> int:
    """The number of the width that a layer takes, or that the head does."""
    if layer in (0, len(branch.path)):
        return FULL
    return WIDTHS.index(branch.widths[layer - 1])
