"""``darts``: DARTS's cells (arXiv 1806.09055) in a network that segments.

Size: two cells (normal and reduction) of 4 nodes; node i (0 to 3) takes two of the i + 2 states before it, each through
one of 7 ops: prod C(i + 2, 2) 7^2 = 180 * 7^8 = 1.04e9 cells, 1.08e18 pairs (the paper says 10^18).
:func:`decisions.size` gives exactly that. A relaxation of the space would hold all 14 edges with 8 ops each, ``none``
among them (:data:`RELAXED_OPERATIONS`).

Choices: ``ROLE.nodeI.inputs``, the pair of states (0 and 1 are the cell's inputs, 2 is node 0), and ``ROLE.nodeI.op1``,
``.op2``, the ops on them. Macro parameters: those of the skeleton (``cell-segmentation``: channels, layers, output
stride, head); the cells fit ``darts-cifar`` and ``darts-imagenet`` as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.skeletons.searched_cell import ROLES
from hwnas.skeletons.states import Block, Edge, cell_of_blocks
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

NODES = 4
OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
RELAXED_OPERATIONS = ("none", *OPERATIONS)


class DartsSpace:
    """The space; see the module's docstring. ``skeleton`` and ``params`` say what its cells are stacked into."""

    def __init__(
        self,
        name: str = "darts",
        skeleton: str = "cell-segmentation",
        params: Mapping[str, Value] | None = None,
    ) -> None:
        self.name, self.skeleton, self.params = name, skeleton, dict(params or {})
        choices: list[Choice] = []
        for role in ROLES:
            for node in range(NODES):
                pairs: tuple[Value, ...] = tuple(itertools.combinations(range(node + 2), 2))
                choices.append(Choice(f"{role}.node{node}.inputs", pairs))
                choices += [Choice(f"{role}.node{node}.op{place}", OPERATIONS) for place in (1, 2)]
        self.choices: Sequence[Choice] = tuple(choices)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        """The genotype of ``decisions``."""
        cells = {role: cell_of_blocks(_blocks(decisions, role), range(2, NODES + 2), role) for role in ROLES}
        return Candidate(Genotype(self.name, self.skeleton, cells, self.params))


def _blocks(decisions: Decisions, role: str) -> list[Block]:
    blocks = []
    for node in range(NODES):
        states = decisions[f"{role}.node{node}.inputs"]
        assert isinstance(states, tuple)
        edges = [
            Edge(str(decisions[f"{role}.node{node}.op{place}"]), int(str(state)))
            for place, state in enumerate(states, start=1)
        ]
        blocks.append(Block(edges[0], edges[1]))
    return blocks


SPACES.register("darts", DartsSpace())
