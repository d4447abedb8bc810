"""``nasnet``: NASNet's cells (arXiv 1707.07012) in a network that segments.

Size: two cells (normal and reduction) of 5 blocks; block b (0 to 4) takes two of the b + 2 states before it, in order
and perhaps the same twice, each through one of 13 ops, and adds or concatenates the two: prod (b + 2)^2 13^2 2 =
720^2 * 338^5 = 2.29e18 cells, 5.23e36 pairs. :func:`decisions.size` gives exactly that; many mean the same network.
(The paper states no size. With 8 ops and addition only, the formula is the 5.6e14 of arXiv 1712.00559.)

Choices: ``ROLE.blockB.state1``, ``.state2`` (0 and 1 are the cell's inputs, 2 is block 0), ``.op1``, ``.op2`` and
``.combination``. The states that no block takes are concatenated. Macro parameters: those of the skeleton
(``cell-segmentation``: channels, layers, output stride, head); the cells fit ``nasnet-cifar`` and ``nasnet-imagenet``
(N @ F) as well.

Relaxation: the same choices, soft; the paper has none. A side of a block adds up its states, weighted, and then its ops
on them. States come in three kinds, since ops on them differ in stride or width: the cell's inputs, sums, and
concatenations of two. A block is computed as a sum and as a concatenation; who takes it asks for one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.gates import All, Any, Gate, Is, Not
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import expand
from hwnas.skeletons.searched_cell import INPUTS, ROLES
from hwnas.skeletons.states import COMBINATIONS, OUTPUT, Block, Edge, cell_of_blocks, unused_states
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions
from hwnas.spaces.relaxed import Probabilities, most_probable, own_options

if TYPE_CHECKING:
    from torch import Tensor


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
        self.relaxation = self.choices

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over decisions."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        """The genotype of ``decisions``."""
        cells = {}
        for role in ROLES:
            blocks = [block_of(decisions, f"{role}.block{block}") for block in range(BLOCKS)]
            cells[role] = cell_of_blocks(blocks, unused_states(blocks), role)
        return Candidate(Genotype(self.name, self.skeleton, cells, self.params))

    def supergraph(self, input_shape: Shape, classes: int) -> OpGraph:
        """All cells at once; see the module's docstring."""
        cells = {role: _OpenCell(role).cell() for role in ROLES}
        return expand(Genotype(self.name, self.skeleton, cells, self.params), input_shape, classes)

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        """The decisions themselves."""
        return own_options(self.choices, decisions)

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The likeliest option of every choice."""
        return most_probable(self, probabilities)

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The probabilities themselves."""
        return dict(probabilities)


class _OpenCell:
    """The cell of all cells of a role."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.nodes: list[Node] = []

    def cell(self) -> Cell:
        for block in range(BLOCKS):
            sides = [self._side(block, place) for place in (1, 2)]
            for combination in COMBINATIONS:
                self.nodes.append(Node(f"state{block + 2}/{combination}", combination, tuple(sides)))
        ends: list[tuple[str, Gate]] = [(INPUTS[state], self._unused(state)) for state in (0, 1)]
        for block in range(BLOCKS):
            for combination in COMBINATIONS:
                gate = All(self._unused(block + 2), Is(f"{self.role}.block{block}.combination", combination))
                ends.append((f"state{block + 2}/{combination}", gate))
        self._gated(OUTPUT, "concat", ends)
        return Cell.of(INPUTS, self.nodes, OUTPUT, where=self.role)

    def _side(self, block: int, place: int) -> str:
        """The sum over its kinds of states of the sums over ops; (the choices of) side ``place`` of a block."""
        name, prefix = f"block{block}/side{place}", f"{self.role}.block{block}"
        kinds: list[tuple[str, Gate]] = []
        for kind, states in self._kinds(block, f"{prefix}.state{place}").items():
            self._gated(f"{name}/{kind}/state", "add", states)
            ops: list[tuple[str, Gate]] = []
            for op in OPERATIONS:
                self.nodes.append(Node(f"{name}/{kind}/{op}", op, (f"{name}/{kind}/state",)))
                ops.append((f"{name}/{kind}/{op}", Is(f"{prefix}.op{place}", op)))
            self._gated(f"{name}/{kind}", "add", ops)
            kinds.append((f"{name}/{kind}", Any(*(gate for _, gate in states))))
        self._gated(name, "add", kinds)
        return name

    def _kinds(self, block: int, choice: str) -> dict[str, list[tuple[str, Gate]]]:
        """Kind → the states of it before the block, each with what must hold for the side to take it."""
        kinds: dict[str, list[tuple[str, Gate]]] = {
            "input": [(name, Is(choice, state)) for state, name in enumerate(INPUTS)]
        }
        for combination in COMBINATIONS if block else ():
            kinds[combination] = [
                (
                    f"state{state}/{combination}",
                    All(Is(choice, state), Is(f"{self.role}.block{state - 2}.combination", combination)),
                )
                for state in range(2, block + 2)
            ]
        return kinds

    def _unused(self, state: int) -> Gate:
        """No block takes it."""
        taking = [
            Is(f"{self.role}.block{block}.state{place}", state)
            for block in range(max(0, state - 1), BLOCKS)
            for place in (1, 2)
        ]
        return Not(Any(*taking))

    def _gated(self, name: str, op: str, ends: Sequence[tuple[str, Gate]]) -> None:
        gates = {slot: gate for slot, (_, gate) in enumerate(ends)}
        self.nodes.append(Node(name, op, tuple(source for source, _ in ends), gates=gates))


def block_of(decisions: Decisions, prefix: str) -> Block:
    """The block whose choices begin with ``prefix``."""
    edges = [
        Edge(str(decisions[f"{prefix}.op{place}"]), int(str(decisions[f"{prefix}.state{place}"]))) for place in (1, 2)
    ]
    return Block(edges[0], edges[1], str(decisions[f"{prefix}.combination"]))


SPACES.register("nasnet", NasnetSpace())
