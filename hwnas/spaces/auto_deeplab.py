"""``auto-deeplab``: a cell and a path through resolutions (Auto-DeepLab, arXiv 1901.02985).

Size: 28,657 paths times 5.6e14 cells, 1.6e19 in all, as in the paper. Macro parameters, fixed in the space: 12 layers,
F filters (20, the paper's S; 32 is M, 48 is L), 5 blocks a cell, the head. Choices:

- ``blockB.left.op``, ``blockB.right.op``: one of 8 ops each; their outputs are added. ``blockB.left.input`` and
  ``blockB.right.input``: what it takes, ``current`` or ``previous`` (the outputs of the last two layers) or an earlier
  block. The outputs of all blocks are concatenated.
- ``path.early``: the levels of the first half of the layers (0: stride 4 … 3: stride 32), from level 0 on, one step
  at a time; ``path.late.fromL``: those of the other half, where the first ends at level L. Two halves rather than one
  list, so that a mutation keeps one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.skeletons.auto_deeplab import CELL_INPUTS, DEFAULT_HEAD, LEVELS
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "atrous_conv_3x3",
    "atrous_conv_5x5",
)
SIDES = ("left", "right")
Branch = tuple[str, str]
"""(op, state it takes): states are the cell's inputs and ``block1``, ``block2``, …"""


def block_cell(blocks: Sequence[tuple[Branch, Branch]], unused: Sequence[str] = ()) -> Cell:
    """The cell of these blocks; it gives the concatenated blocks, without those named in ``unused``."""
    nodes, names = [], []
    for number, branches in enumerate(blocks, start=1):
        name = f"block{number}"
        for side, (op, source) in zip(SIDES, branches, strict=True):
            nodes.append(Node(f"{name}_{side}", op, (source,)))
        nodes.append(Node(name, "add", tuple(f"{name}_{side}" for side in SIDES)))
        names.append(name)
    kept = [name for name in names if name not in unused]
    return Cell.of(CELL_INPUTS, [*nodes, Node("concat", "concat", tuple(kept))], "concat")


def paths(length: int, start: int) -> list[tuple[int, ...]]:
    """All paths of ``length`` levels whose first is at most one from ``start``, each one step from the one before."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(length):
        found = [
            (*path, level)
            for path in found
            for level in range(LEVELS)
            if abs(level - (path[-1] if path else start)) <= 1
        ]
    return found


class AutoDeepLabSpace:
    """The space; see the module's docstring."""

    def __init__(
        self,
        *,
        name: str = "auto-deeplab",
        layers: int = 12,
        filters: int = 20,
        blocks: int = 5,
        head: str = DEFAULT_HEAD,
    ) -> None:
        self.name = name
        self._filters, self._blocks, self._head = filters, blocks, head
        states = list(CELL_INPUTS)
        choices: list[Choice] = []
        for number in range(1, blocks + 1):
            for side in SIDES:
                choices.append(Choice(f"block{number}.{side}.input", tuple(states)))
                choices.append(Choice(f"block{number}.{side}.op", OPS))
            states.append(f"block{number}")
        early: tuple[Value, ...] = tuple((0, *rest) for rest in paths(layers // 2 - 1, 0))
        choices.append(Choice("path.early", early))
        for level in range(LEVELS):
            here = tuple(path for path in early if isinstance(path, tuple) and path[-1] == level)
            if here:
                late: tuple[Value, ...] = tuple(paths(layers - layers // 2, level))
                choices.append(Choice(f"path.late.from{level}", late, {"path.early": here}))
        self.choices: Sequence[Choice] = tuple(choices)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        """The genotype of ``decisions``; choices that are not active are ignored."""
        blocks = []
        for number in range(1, self._blocks + 1):
            left, right = (
                (str(decisions[f"block{number}.{side}.op"]), str(decisions[f"block{number}.{side}.input"]))
                for side in SIDES
            )
            blocks.append((left, right))
        early = decisions["path.early"]
        assert isinstance(early, tuple)
        late = decisions[f"path.late.from{early[-1]}"]
        assert isinstance(late, tuple)
        params: dict[str, Value] = {"path": (*early, *late), "filters": self._filters, "head": self._head}
        return Candidate(Genotype(self.name, "auto-deeplab", {"cell": block_cell(blocks)}, params))


SPACES.register("auto-deeplab", AutoDeepLabSpace())
