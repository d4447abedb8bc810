"""The sites of NASNet's space: ops on four kinds of state, states that nobody takes, and widths that come of these.

The output of a cell is as wide as it has states that no block takes, and what follows it depends on that width. How
many these are takes all ten choices of a state: their number is found by recursion over the blocks, whose state is the
set of what has been taken so far.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.shapes import Value
from hwnas.skeletons.darts import reduction_layers
from hwnas.skeletons.searched_cell import ROLES
from hwnas.skeletons.states import COMBINATIONS, unused_states
from hwnas.spaces.base import Decisions
from hwnas.spaces.decisions import random_decisions
from hwnas.spaces.nasnet import BLOCKS, OPERATIONS, block_of
from hwnas.spaces.sites.base import Constants, Site, Spot

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.spaces.nasnet import NasnetSpace

_EDGE = re.compile(r"cell(\d+)/state(\d+)/([ab]).*")
_MERGE = re.compile(r"cell(\d+)/state(\d+)")
_JOINED = re.compile(r"cell(\d+)/output/[a-z]+(\d+)")
_OUTPUT = re.compile(r"cell(\d+)/output")
_ENTRY = re.compile(r"cell(\d+)/preprocess([01])")
KINDS = 2 + len(COMBINATIONS)
"""Of states: the two inputs, sums, concatenations."""
TAKEABLE = BLOCKS + 1
"""States that some block can take: all but the last."""
MOST = BLOCKS + 2
"""No more states are unused; the stem is as if none were."""


class NasnetSites:
    """Groups: ``ops`` (layers, kinds of state, ops, combinations), ``merges`` (layers, combinations), ``unused``
    (layers, kinds), ``outputs`` (layers, numbers of unused states), ``entries`` (layers, 2, numbers of the cell that
    is entered from) and ``rest`` (numbers of normal cells, of reductions)."""

    def __init__(self, space: NasnetSpace, layers: int) -> None:
        self.space = space
        self._constants = Constants()
        reductions = reduction_layers(layers)
        self.roles = tuple(ROLES[layer in reductions] for layer in range(layers))

    def proposal(self, rng: np.random.Generator) -> dict[str, Value]:
        """Blocks take any state, one of the first few, or the last and any: few states are unused, or many."""
        decisions = random_decisions(self.space, rng)
        for role in ROLES:
            manner, few = rng.integers(3), int(rng.integers(1, TAKEABLE + 1))
            for block in range(BLOCKS):
                for place in (1, 2):
                    name = f"{role}.block{block}.state{place}"
                    if manner == 1:
                        decisions[name] = int(rng.integers(min(few, block + 2)))
                    elif manner == 2 and place == 1:
                        decisions[name] = block + 1
        return decisions

    def reading(self, decisions: Decisions) -> _Reading:
        cells = {}
        for role in ROLES:
            blocks = [block_of(decisions, f"{role}.block{block}") for block in range(BLOCKS)]
            combinations = [COMBINATIONS.index(block.combination) for block in blocks]
            kinds = [0, 1, *(2 + combination for combination in combinations)]
            edges = {
                (number, end): (kinds[edge.state], OPERATIONS.index(edge.op), combinations[number])
                for number, block in enumerate(blocks)
                for end, edge in (("a", block.left), ("b", block.right))
            }
            unused = [kinds[state] for state in unused_states(blocks)]
            cells[role] = _Cell(edges, combinations, unused)
        return _Reading(
            [cells[role] for role in self.roles], (len(cells["normal"].unused), len(cells["reduce"].unused))
        )

    def counts(self, meant: Mapping[str, Tensor]) -> dict[str, Tensor]:
        import torch

        roles = {role: self._role(meant, role) for role in ROLES}
        cells = [roles[role] for role in self.roles]
        found = {name: torch.stack([cell[name] for cell in cells]) for name in ("ops", "merges", "unused", "outputs")}
        stem = torch.zeros_like(cells[0]["outputs"])
        stem[0] = 1.0
        sources = [stem, stem, *(cell["outputs"] for cell in cells)]
        found["entries"] = torch.stack([torch.stack(sources[layer : layer + 2]) for layer in range(len(cells))])
        found["rest"] = roles["normal"]["outputs"][:, None] * roles["reduce"]["outputs"]
        return found

    def _role(self, meant: Mapping[str, Tensor], role: str) -> dict[str, Tensor]:
        """The counts of one cell of a role, and under ``outputs`` the chances of its numbers of unused states."""
        import torch

        combinations = [meant[f"{role}.block{block}.combination"] for block in range(BLOCKS)]
        ops, taking = [], []
        for block, combination in enumerate(combinations):
            for place in (1, 2):
                states = meant[f"{role}.block{block}.state{place}"]
                kinds = torch.cat([states[:2], sum(_of_kind(states, combinations), start=states.new_zeros(2))])
                op = meant[f"{role}.block{block}.op{place}"]
                ops.append(kinds[:, None, None] * op[:, None] * combination)
                taking.append(states)
        one = taking[0].new_ones(())
        unused = [
            math.prod((1 - states[state] for states in taking if state < len(states)), start=one)
            for state in range(MOST)
        ]
        merged = [share * kind for share, kind in zip(unused[2:], combinations, strict=True)]
        return {
            "ops": torch.stack(ops).sum(0),
            "merges": torch.stack(combinations).sum(0),
            "unused": torch.cat([torch.stack(unused[:2]), torch.stack(merged).sum(0)]),
            "outputs": self._numbers(taking),
        }

    def _numbers(self, taking: Sequence[Tensor]) -> Tensor:
        """How likely each number of states is that nobody takes, shape (MOST + 1,)."""
        import torch

        moves = self._constants.get("moves", self._moves, taking[0])
        taken = moves.new_zeros(2**TAKEABLE)
        taken[0] = 1.0
        for states in taking:
            taken = torch.einsum("s,sij,j->i", states, moves[: len(states)], taken)
        left = torch.tensor([MOST - bin(mask).count("1") for mask in range(2**TAKEABLE)], device=taken.device)
        return taken.new_zeros(MOST + 1).index_add(0, left, taken)

    @cached_property
    def _moves(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """For each state the matrix that takes it: from sets of states, as bits, to sets."""
        moves = np.zeros((TAKEABLE, 2**TAKEABLE, 2**TAKEABLE))
        for state in range(TAKEABLE):
            for mask in range(2**TAKEABLE):
                moves[state, mask | 1 << state, mask] = 1.0
        return moves


def _of_kind(states: Tensor, combinations: Sequence[Tensor]) -> list[Tensor]:
    """For each block that a side can take: how likely it does, and the block is a sum, or a concatenation."""
    return [share * kind for share, kind in zip(states[2:], combinations, strict=False)]


@dataclass(frozen=True)
class _Cell:
    """``edges``: (block, end) → kind of its state, op, combination of the block; kinds of the ``unused`` states."""

    edges: Mapping[tuple[int, str], tuple[int, int, int]]
    combinations: Sequence[int]
    unused: Sequence[int]


@dataclass(frozen=True)
class _Reading:
    layers: Sequence[_Cell]
    unused: tuple[int, int]

    def node(self, name: str) -> Spot:
        if found := _EDGE.fullmatch(name):
            layer, block = int(found[1]), int(found[2]) - 2
            return ("ops", (layer, *self.layers[layer].edges[block, found[3]])), (block, found[3])
        if found := _MERGE.fullmatch(name):
            layer, block = int(found[1]), int(found[2]) - 2
            return ("merges", (layer, self.layers[layer].combinations[block])), block
        if found := _JOINED.fullmatch(name):
            layer, slot = int(found[1]), int(found[2])
            return ("unused", (layer, self.layers[layer].unused[slot])), slot
        if found := _OUTPUT.fullmatch(name):
            layer = int(found[1])
            return ("outputs", (layer, len(self.layers[layer].unused))), ""
        if found := _ENTRY.fullmatch(name):
            layer, which = int(found[1]), int(found[2])
            source = layer + which - 2
            return ("entries", (layer, which, len(self.layers[source].unused) if source >= 0 else 0)), ""
        return ("rest", self.unused), ""

    def shown(self) -> Iterable[Site]:
        yield "rest", self.unused
        for layer, cell in enumerate(self.layers):
            yield from (("ops", (layer, *edge)) for edge in cell.edges.values())

    def edge(self, consumer: str, slot: int, producer: str) -> Spot:
        """Both edges of an op are the op's, and those of what an output joins are its own."""
        if _MERGE.fullmatch(consumer):
            return self.node(producer)
        if found := _OUTPUT.fullmatch(consumer):
            layer = int(found[1])
            return ("unused", (layer, self.layers[layer].unused[slot])), slot
        return self.node(consumer)
