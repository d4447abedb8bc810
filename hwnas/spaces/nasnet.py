"""``nasnet``: NASNet's cells (arXiv 1707.07012) in a network that segments.

Size: two cells (normal and reduction) of 5 blocks; block b (0 to 4) takes two of the b + 2 states before it, in order
and perhaps the same twice, each through one of 13 ops, and adds or concatenates the two: prod (b + 2)^2 13^2 2 =
720^2 * 338^5 = 2.29e18 cells, 5.23e36 pairs. :func:`decisions.size` gives exactly that; many mean the same network.
(The paper states no size. With 8 ops and addition only, the formula is the 5.6e14 of arXiv 1712.00559.)

Choices: ``ROLE.blockB.state1``, ``.state2`` (0 and 1 are the cell's inputs, 2 is block 0), ``.op1``, ``.op2`` and
``.combination``. The states that no block takes are concatenated. Macro parameters: those of the skeleton
(``cell-segmentation``: channels, layers, output stride, head); the cells fit ``nasnet-cifar`` and ``nasnet-imagenet``
(N @ F) as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.skeletons.searched_cell import ROLES
from hwnas.skeletons.states import COMBINATIONS, Block, Edge, cell_of_blocks, unused_states
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

BLOCKS = 5
OPERATIONS = (
    "skip_connect",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)


class NasnetSpace:
    """The space; see the module's docstring. ``skeleton`` and ``params`` say what its cells are stacked into."""

    def __init__(
        self,
        name: str = "nasnet",
        skeleton: str = "cell-segmentation",
        params: Mapping[str, Value] | None = None,
    ) -> None:
        self.name, self.skeleton, self.params = name, skeleton, dict(params or {})
        choices: list[Choice] = []
        for role in ROLES:
            for block in range(BLOCKS):
                states = tuple(range(block + 2))
                prefix = f"{role}.block{block}"
                choices += [Choice(f"{prefix}.state{place}", states) for place in (1, 2)]
                choices += [Choice(f"{prefix}.op{place}", OPERATIONS) for place in (1, 2)]
                choices.append(Choice(f"{prefix}.combination", COMBINATIONS))
        self.choices: Sequence[Choice] = tuple(choices)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over decisions."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        """The genotype of ``decisions``."""
        cells = {}
        for role in ROLES:
            blocks = [_block(decisions, f"{role}.block{block}") for block in range(BLOCKS)]
            cells[role] = cell_of_blocks(blocks, unused_states(blocks), role)
        return Candidate(Genotype(self.name, self.skeleton, cells, self.params))


def _block(decisions: Decisions, prefix: str) -> Block:
    edges = [
        Edge(str(decisions[f"{prefix}.op{place}"]), int(str(decisions[f"{prefix}.state{place}"]))) for place in (1, 2)
    ]
    return Block(edges[0], edges[1], str(decisions[f"{prefix}.combination"]))


SPACES.register("nasnet", NasnetSpace())
