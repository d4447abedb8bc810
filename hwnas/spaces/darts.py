"""``darts``: DARTS's cells (arXiv 1806.09055) in a network that segments.

Size: two cells (normal and reduction) of 4 nodes; node i (0 to 3) takes two of the i + 2 states before it, each through
one of 7 ops: prod C(i + 2, 2) 7^2 = 180 * 7^8 = 1.04e9 cells, 1.08e18 pairs (the paper says 10^18).
:func:`decisions.size` gives exactly that.

Choices: ``ROLE.nodeI.inputs``, the pair of states (0 and 1 are the cell's inputs, 2 is node 0), and for each state J of
it ``ROLE.nodeI.fromJ.op``. Macro parameters: those of the skeleton (``cell-segmentation``: channels, layers, output
stride, head); the cells fit ``darts-cifar`` and ``darts-imagenet`` as well.

Relaxation, as in the paper: ``ROLE.nodeI.fromJ``, one of 8 ops (:data:`RELAXED_OPERATIONS`, ``none`` among them) on
each of the 14 edges of a cell, shared by all cells of a role. An edge is as strong as the likeliest of its ops but
``none``; the answer is the two strongest edges of every node with that op. As a distribution over genotypes, a pair of
edges has a probability in proportion to the product of their strengths, and an edge that was drawn has its ops as the
softmax has them, ``none`` left out: the likeliest option of each choice is what the paper's rule derives.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.ir.cell import Cell
from hwnas.ir.gates import Gate, Is
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import expand
from hwnas.skeletons.searched_cell import INPUTS, ROLES
from hwnas.skeletons.states import OUTPUT
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions
from hwnas.spaces.relaxed import Probabilities, most_probable, shares

if TYPE_CHECKING:
    from torch import Tensor

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
NONE = "none"
RELAXED_OPERATIONS = (NONE, *OPERATIONS)
STATES = (*INPUTS, *(f"state{number}" for number in range(2, NODES + 2)))


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
        soft: list[Choice] = []
        for prefix, states in _nodes():
            pairs = tuple(itertools.combinations(range(states), 2))
            choices.append(Choice(f"{prefix}.inputs", pairs))
            for state in range(states):
                having: tuple[Value, ...] = tuple(pair for pair in pairs if state in pair)
                choices.append(Choice(f"{prefix}.from{state}.op", OPERATIONS, {f"{prefix}.inputs": having}))
                soft.append(Choice(f"{prefix}.from{state}", RELAXED_OPERATIONS))
        self.choices: Sequence[Choice] = tuple(choices)
        self.relaxation: Sequence[Choice] = tuple(soft)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        """The genotype of ``decisions``."""
        return Candidate(self._genotype({role: _decided_cell(decisions, role) for role in ROLES}))

    def supergraph(self, input_shape: Shape, classes: int) -> OpGraph:
        """All ops on all edges; ``none`` is the absence of the others."""
        return expand(self._genotype({role: _open_cell(role) for role in ROLES}), input_shape, classes)

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        """The op of each edge; ``none`` on those that no node takes."""
        options: dict[str, Value] = {choice.name: NONE for choice in self.relaxation}
        for prefix, _ in _nodes():
            for state in _pair(decisions, prefix):
                options[f"{prefix}.from{state}"] = decisions[f"{prefix}.from{state}.op"]
        return options

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The paper's rule: the two strongest edges of every node; of equals, those from the first states."""
        return most_probable(self, probabilities)

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See the module's docstring."""
        import torch

        meant: dict[str, Tensor] = {}
        for prefix, states in _nodes():
            kept = [probabilities[f"{prefix}.from{state}"][1:] for state in range(states)]
            strength = torch.stack([ops.max() for ops in kept])
            pairs = torch.stack([strength[a] * strength[b] for a, b in itertools.combinations(range(states), 2)])
            meant[f"{prefix}.inputs"] = shares(pairs)
            for state, ops in enumerate(kept):
                meant[f"{prefix}.from{state}.op"] = shares(ops)
        return meant

    def _genotype(self, cells: Mapping[str, Cell]) -> Genotype:
        return Genotype(self.name, self.skeleton, cells, self.params)


def _nodes() -> list[tuple[str, int]]:
    """(the prefix of its choices, how many states are before it) of every node of both cells."""
    return [(f"{role}.node{node}", node + 2) for role in ROLES for node in range(NODES)]


def _pair(decisions: Decisions, prefix: str) -> tuple[int, ...]:
    states = decisions[f"{prefix}.inputs"]
    assert isinstance(states, tuple)
    return tuple(int(str(state)) for state in states)


def _decided_cell(decisions: Decisions, role: str) -> Cell:
    """Ops are called after the state that they take, so that what a node of the op graph is depends on few choices."""
    nodes = []
    for number, name in enumerate(STATES[2:]):
        prefix = f"{role}.node{number}"
        ends = []
        for state in _pair(decisions, prefix):
            ends.append(f"{name}/from{state}")
            nodes.append(Node(ends[-1], str(decisions[f"{prefix}.from{state}.op"]), (STATES[state],)))
        nodes.append(Node(name, "add", tuple(ends)))
    return Cell.of(INPUTS, [*nodes, Node(OUTPUT, "concat", STATES[2:])], OUTPUT, where=role)


def _open_cell(role: str) -> Cell:
    """Every op on every edge, gated by the soft choice of the edge."""
    nodes = []
    for number, name in enumerate(STATES[2:]):
        ends: list[str] = []
        gates: dict[int, Gate] = {}
        for state in range(number + 2):
            for op in OPERATIONS:
                gates[len(ends)] = Is(f"{role}.node{number}.from{state}", op)
                ends.append(f"{name}/from{state}/{op}")
                nodes.append(Node(ends[-1], op, (STATES[state],)))
        nodes.append(Node(name, "add", tuple(ends), gates=gates))
    return Cell.of(INPUTS, [*nodes, Node(OUTPUT, "concat", STATES[2:])], OUTPUT, where=role)


SPACES.register("darts", DartsSpace())
