"""``auto-deeplab``: a cell and a path through resolutions (Auto-DeepLab, arXiv 1901.02985).

Size: 28,657 paths times 5.6e14 cells, 1.6e19 in all, as in the paper. ``auto-deeplab-small`` has 8 filters and a light
head without a decoder, for images that ASPP's rates are too wide for. Macro parameters, fixed in the space: 12 layers,
F filters (20, the paper's S; 32 is M, 48 is L), 5 blocks a cell, the head. Choices:

- ``blockB.inputs``: the two states that block B takes, the left one and the right one: ``current``, ``previous`` (the
  outputs of the last two layers) or an earlier block, perhaps the same twice. ``blockB.left.fromS.op`` and
  ``blockB.right.fromS.op``: one of 8 ops on state S, where that is what the side takes. Their outputs are added; the
  outputs of all blocks are concatenated.
- ``path.early``: the levels of the first half of the layers (0: stride 4 … 3: stride 32), from level 0 on, one step
  at a time; ``path.late.fromL``: those of the other half, where the first ends at level L. Two halves rather than one
  list, so that a mutation keeps one of them.

Relaxation, as in the paper: ``blockB.fromS`` (α), a weight for each of the 8 ops on every edge of the cell, and
``path.layerL.levelS`` (β), where the path goes from a place; see :mod:`hwnas.spaces.trellis` and
:func:`hwnas.skeletons.auto_deeplab.trellis`. An edge is as strong as the likeliest of its ops but ``none``. Derived are
the two strongest edges of every block, on two different states, each with that op, and the likeliest path. What the
relaxation means is a pair of states with a chance proportional to the product of their strengths, an op on each by its
share among all but ``none``, and a path with the product of its steps' chances, drawn as its two halves are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import HwnasError
from hwnas.ir.cell import Cell
from hwnas.ir.gates import Gate, Is
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.auto_deeplab import CELL_INPUTS, DEFAULT_HEAD, LEVELS, step_choice, trellis
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import canonical, uniform_decisions
from hwnas.spaces.relaxed import Probabilities, shares
from hwnas.spaces.trellis import Decoded, legal_steps, path_probabilities, paths, viterbi

if TYPE_CHECKING:
    from torch import Tensor


NONE = "none"
OPS = (
    NONE,
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "atrous_conv_3x3",
    "atrous_conv_5x5",
)
SIDES = ("left", "right")
SEARCH_HEAD = "aspp:width=64,rates=none,decoder=none"
"""For any size of image."""
Branch = tuple[str, str]
"""(op, state it takes): states are the cell's inputs and ``block1``, ``block2``, …"""


def block_cell(
    blocks: Sequence[tuple[Branch, Branch]], unused: Sequence[str] = (), *, name_sources: bool = False
) -> Cell:
    """The cell of these blocks; it gives the concatenated blocks, without those named in ``unused``.

    ``name_sources`` puts what a branch takes into its node's name, so that what a node of the op graph is depends on
    few choices.
    """
    nodes, names = [], []
    for number, branches in enumerate(blocks, start=1):
        name = f"block{number}"
        ends = []
        for side, (op, source) in zip(SIDES, branches, strict=True):
            ends.append(f"{name}_{side}_{source}" if name_sources else f"{name}_{side}")
            nodes.append(Node(ends[-1], op, (source,)))
        nodes.append(Node(name, "add", tuple(ends)))
        names.append(name)
    kept = [name for name in names if name not in unused]
    return Cell.of(CELL_INPUTS, [*nodes, Node("concat", "concat", tuple(kept))], "concat")


def open_cell(blocks: int) -> Cell:
    """Every op but ``none`` on every edge, gated by the soft choice of the edge."""
    nodes: list[Node] = []
    names: list[str] = []
    for number in range(1, blocks + 1):
        ends: list[str] = []
        gates: dict[int, Gate] = {}
        for source in (*CELL_INPUTS, *names):
            for op in OPS[1:]:
                gates[len(ends)] = Is(f"block{number}.from{source}", op)
                ends.append(f"block{number}_{source}_{op}")
                nodes.append(Node(ends[-1], op, (source,)))
        names.append(f"block{number}")
        nodes.append(Node(names[-1], "add", tuple(ends), gates=gates))
    return Cell.of(CELL_INPUTS, [*nodes, Node("concat", "concat", tuple(names))], "concat")


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
        self._layers, self._filters, self.blocks, self._head = layers, filters, blocks, head
        self.choices: Sequence[Choice] = (*_cell_choices(blocks), *_path_choices(layers))
        self.relaxation: Sequence[Choice] = (*_soft_edges(blocks), *_soft_steps(layers))

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over genotypes."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        """The genotype of ``decisions``; choices that are not active are ignored."""
        blocks = []
        for number in range(1, self.blocks + 1):
            left, right = (
                (str(decisions[f"block{number}.{side}.from{source}.op"]), source)
                for side, source in zip(SIDES, inputs_of(decisions, number), strict=True)
            )
            blocks.append((left, right))
        params: dict[str, Value] = {"path": path_of(decisions), "filters": self._filters, "head": self._head}
        cell = block_cell(blocks, name_sources=True)
        return Candidate(Genotype(self.name, "auto-deeplab", {"cell": cell}, params))

    def supergraph(self, input_shape: Shape, classes: int) -> OpGraph:
        """All ops on all edges of a cell on every edge of the trellis; ``none`` is the absence of the others."""
        return trellis(open_cell(self.blocks), self._layers, self._filters, self._head, input_shape, classes)

    def searched(self, filters: int) -> AutoDeepLabSpace:
        """The space as its relaxation searches it: with at most so many filters, and a head without a decoder, which a
        supergraph cannot have. The space itself where it is so already."""
        plain = self._head if "aspp" not in self._head or "decoder=none" in self._head else SEARCH_HEAD
        if plain == self._head and self._filters <= filters:
            return self
        return AutoDeepLabSpace(
            name=self.name, layers=self._layers, filters=min(filters, self._filters), blocks=self.blocks, head=plain
        )

    def embed(self, decisions: Decisions) -> dict[str, Value]:
        """The op of each edge, ``none`` on those that no block takes, and the path's steps; places that the path does
        not visit stay at their level or near it, which says nothing.

        HwnasError where a block takes one state twice or an op ``none``: there the relaxation has nothing to say.
        """
        options: dict[str, Value] = {choice.name: choice.options[0] for choice in self.relaxation}
        for number in range(1, self.blocks + 1):
            left, right = inputs_of(decisions, number)
            ops = [
                decisions[f"block{number}.{side}.from{at}.op"] for side, at in zip(SIDES, (left, right), strict=True)
            ]
            if left == right or NONE in ops:
                raise HwnasError(
                    f"block {number} takes {left} twice or through {NONE!r}, which the relaxation of {self.name} lacks"
                )
            options[f"block{number}.from{left}"], options[f"block{number}.from{right}"] = ops
        for layer, (level, target) in enumerate(itertools.pairwise(path_of(decisions))):
            options[step_choice(layer, level)] = target
        return options

    def derive(self, probabilities: Probabilities) -> dict[str, Value]:
        """The two strongest edges of every block (of equals, those from the first states) and the likeliest path."""
        decisions: dict[str, Value] = {}
        for number in range(1, self.blocks + 1):
            states = states_of(number)
            kept = [np.asarray(probabilities[f"block{number}.from{state}"])[1:] for state in states]
            first, second = sorted(np.argsort([-ops.max() for ops in kept], kind="stable")[:2].tolist())
            decisions[f"block{number}.inputs"] = (states[first], states[second])
            for side, place in zip(SIDES, (first, second), strict=True):
                decisions[f"block{number}.{side}.from{states[place]}.op"] = OPS[1 + int(kept[place].argmax())]
        return canonical(self, {**decisions, **self._halves(self.decode_path(probabilities).path)})

    def decode_path(self, probabilities: Probabilities) -> Decoded:
        """The likeliest path and the second."""
        arrays = {name: np.asarray(vector, dtype=np.float64) for name, vector in probabilities.items()}
        return viterbi(self.steps(arrays))

    def steps(self, probabilities: Mapping[str, Any]) -> Any:
        """The soft steps as one array or tensor (layers - 1, levels, 3); see :mod:`hwnas.spaces.trellis`."""
        legal = legal_steps(self._layers, LEVELS)
        rows = []
        for layer in range(self._layers - 1):
            for level in range(LEVELS):
                places = np.flatnonzero(legal[layer, level])
                rows.append((f"path.layer{layer}.level{level}", places))
        if isinstance(next(iter(probabilities.values())), np.ndarray):
            steps = np.zeros((len(rows), 3))
            for row, (name, places) in zip(steps, rows, strict=True):
                if len(places):
                    row[places] = probabilities[name]
            return steps.reshape(self._layers - 1, LEVELS, 3)
        import torch

        like = next(iter(probabilities.values()))
        none, parts = like.new_zeros(3), []
        for name, places in rows:
            parts.append(none.index_put((torch.from_numpy(places),), probabilities[name]) if len(places) else none)
        return torch.stack(parts).reshape(self._layers - 1, LEVELS, 3)

    def choice_probabilities(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See the module's docstring."""
        import torch

        meant: dict[str, Tensor] = {}
        for number in range(1, self.blocks + 1):
            states = states_of(number)
            kept = {state: probabilities[f"block{number}.from{state}"][1:] for state in states}
            pairs = [
                kept[left].max() * kept[right].max() if states.index(left) < states.index(right) else kept[left][0] * 0
                for left, right in itertools.product(states, repeat=2)
            ]
            meant[f"block{number}.inputs"] = shares(torch.stack(pairs))
            for side, (state, ops) in itertools.product(SIDES, kept.items()):
                meant[f"block{number}.{side}.from{state}.op"] = torch.cat([ops[:1] * 0, shares(ops)])
        steps = self.steps(probabilities)
        early, *late = _path_choices(self._layers)
        first = self._layers // 2 - 1
        meant[early.name] = shares(path_probabilities(steps, np.array(early.options, dtype=np.int64)))
        for choice in late:
            level = int(choice.name.removeprefix("path.late.from"))
            rest = np.array([(level, *levels_of(option)) for option in choice.options], dtype=np.int64)
            meant[choice.name] = shares(path_probabilities(steps, rest, first))
        return meant

    def _halves(self, path: Sequence[int]) -> dict[str, Value]:
        half = self._layers // 2
        return {"path.early": tuple(path[:half]), f"path.late.from{path[half - 1]}": tuple(path[half:])}


def _cell_choices(blocks: int) -> list[Choice]:
    choices = []
    for number in range(1, blocks + 1):
        states = states_of(number)
        pairs: tuple[Value, ...] = tuple(itertools.product(states, repeat=2))
        choices.append(Choice(f"block{number}.inputs", pairs))
        for side, state in itertools.product(range(2), states):
            having: tuple[Value, ...] = tuple(
                pair for pair in itertools.product(states, repeat=2) if pair[side] == state
            )
            name = f"block{number}.{SIDES[side]}.from{state}.op"
            choices.append(Choice(name, OPS, {f"block{number}.inputs": having}))
    return choices


def _path_choices(layers: int) -> list[Choice]:
    early = tuple((0, *rest) for rest in paths(layers // 2 - 1, 0, LEVELS))
    choices = [Choice("path.early", early)]
    for level in range(LEVELS):
        here: tuple[Value, ...] = tuple(path for path in early if path[-1] == level)
        if here:
            late: tuple[Value, ...] = tuple(paths(layers - layers // 2, level, LEVELS))
            choices.append(Choice(f"path.late.from{level}", late, {"path.early": here}))
    return choices


def _soft_edges(blocks: int) -> list[Choice]:
    return [Choice(f"block{number}.from{state}", OPS) for number in range(1, blocks + 1) for state in states_of(number)]


def _soft_steps(layers: int) -> list[Choice]:
    legal = legal_steps(layers, LEVELS)
    choices = []
    for layer, level in itertools.product(range(layers - 1), range(LEVELS)):
        targets: tuple[Value, ...] = tuple(level + step - 1 for step in np.flatnonzero(legal[layer, level]).tolist())
        if targets:
            choices.append(Choice(step_choice(layer, level), targets))
    return choices


def states_of(number: int) -> tuple[str, ...]:
    """What block ``number`` can take."""
    return (*CELL_INPUTS, *(f"block{before}" for before in range(1, number)))


def inputs_of(decisions: Decisions, number: int) -> tuple[str, str]:
    """The states that block ``number`` takes."""
    pair = decisions[f"block{number}.inputs"]
    assert isinstance(pair, tuple)
    return str(pair[0]), str(pair[1])


def path_of(decisions: Decisions) -> tuple[int, ...]:
    """The level of every layer."""
    early = levels_of(decisions["path.early"])
    return (*early, *levels_of(decisions[f"path.late.from{early[-1]}"]))


def levels_of(path: Value) -> tuple[int, ...]:
    """An option of half a path."""
    assert isinstance(path, tuple)
    return tuple(int(str(level)) for level in path)


SPACES.register("auto-deeplab", AutoDeepLabSpace())
SPACES.register("auto-deeplab-small", AutoDeepLabSpace(name="auto-deeplab-small", filters=8, head=SEARCH_HEAD))
