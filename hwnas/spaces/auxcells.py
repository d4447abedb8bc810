"""``auxcells``: Nekrasov et al.'s decoders over MobileNetV2 (arXiv 1810.10804).

Size: 11^7 * (2 * 5 * 8)^2 * (4 * 5 * 6)^2 = 1.8e15 decision sets; swapping the two operands of a sum gives the same
genotype again. Macro parameters: the encoder's layers at strides 4, 8, 16 and 32; 64 channels in the decoder.

- ``fuseN.a``, ``fuseN.b``: which two members of the pool are fused N-th: ``l1`` … ``l4`` are the encoder's outputs,
  ``fuse1`` … the earlier sums.
- ``cell.op0``: the op on the contextual cell's input; ``cell.layerN.a``, ``.b``: what layer N takes;
  ``cell.layerN.op_a``, ``.op_b``: the ops on them, whose results are added. Taken are ``x`` (the input), ``op0``, and
  of each earlier layer its two ops and its sum. What no layer takes, of op0 and the sums, is added: the output.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.spaces.base import SPACES, Candidate, Choice, Decisions
from hwnas.spaces.decisions import uniform_decisions

OPERATIONS: dict[str, tuple[str, dict[str, Value]]] = {
    "conv1x1": ("conv_1x1", {}),
    "conv3x3": ("conv_3x3", {}),
    "sep_conv_3x3": ("dwpw_conv_3x3", {}),
    "sep_conv_5x5": ("dwpw_conv_5x5", {}),
    "global_average_pool": ("global_avg_pool", {}),
    "conv3x3_dil3": ("conv_3x3", {"dilation": 3}),
    "conv3x3_dil12": ("conv_3x3", {"dilation": 12}),
    "sep_conv_3x3_dil3": ("dwpw_conv_3x3", {"dilation": 3}),
    "sep_conv_5x5_dil6": ("dwpw_conv_5x5", {"dilation": 6}),
    "skip_connect": ("skip_connect", {}),
    "none": ("none", {}),
}
"""The 11 ops by the authors' names and in their order: our op and its parameters."""
ENCODER_LAYERS = (1, 2, 4, 6)
LAYERS, FUSES = 3, 3

Layer = tuple[int, int, int, int]
"""Places of the two inputs, numbers of the two ops: the authors' notation."""


def places(layer: int) -> list[str]:
    """What layer ``layer`` (from 1) can take, in the order of the authors' numbers."""
    names = ["x", "op0"]
    for earlier in range(1, layer):
        names += [f"layer{earlier}.op_a", f"layer{earlier}.op_b", f"layer{earlier}"]
    return names


def context_cell(first: int, layers: Sequence[Layer]) -> Cell:
    """The contextual cell of an op number and layers in the authors' notation."""
    names = list(OPERATIONS)
    nodes = _operation("op0", names[first], "x")
    known, loose = ["x", "op0"], ["op0"]
    for index, (place_a, place_b, op_a, op_b) in enumerate(layers, start=1):
        for side, place, op in (("a", place_a, op_a), ("b", place_b, op_b)):
            if not 0 <= place < len(places(index)) or not 0 <= op < len(names):
                raise GenotypeError(
                    f"layer {index} of a contextual cell is {(place_a, place_b, op_a, op_b)}",
                    f"places are 0 to {len(places(index)) - 1} there, ops 0 to {len(names) - 1}",
                )
            loose = [name for name in loose if name != known[place]]
            nodes += _operation(f"layer{index}_{side}", names[op], known[place])
        nodes.append(Node(f"layer{index}", "add", (f"layer{index}_a", f"layer{index}_b")))
        known += [f"layer{index}_a", f"layer{index}_b", f"layer{index}"]
        loose.append(f"layer{index}")
    nodes.append(Node("out", "add", tuple(loose)))
    return Cell.of(["x"], nodes, "out", where="context")


def _operation(name: str, operation: str, source: str) -> list[Node]:
    op, params = OPERATIONS[operation]
    if op != "global_avg_pool":
        return [Node(name, op, (source,), params)]
    pooled = [Node(f"{name}_mean", op, (source,)), Node(f"{name}_conv", "conv_1x1", (f"{name}_mean",))]
    return [*pooled, Node(name, "resize_like", (f"{name}_conv", source))]


def auxcells_genotype(
    name: str, first: int, layers: Sequence[Layer], connections: Sequence[tuple[int, int]], **params: Value
) -> Genotype:
    """The genotype of a decoder in the authors' numbers over the encoder's four outputs; ``params``: the skeleton's."""
    given: dict[str, Value] = {"layers": ENCODER_LAYERS, "connections": tuple(map(tuple, connections))}
    return Genotype(name, "auxcells", {"context": context_cell(first, layers)}, {**given, **params})


def pool(fuse: int) -> list[str]:
    """What the ``fuse``-th fusion (from 1) can take, in the order of the authors' numbers."""
    return [*(f"l{i}" for i in range(1, len(ENCODER_LAYERS) + 1)), *(f"fuse{i}" for i in range(1, fuse))]


class AuxCellsSpace:
    """The space; see the module's docstring."""

    name = "auxcells"
    takes_backbone = True

    def __init__(self) -> None:
        choices = [Choice(f"fuse{fuse}.{side}", tuple(pool(fuse))) for fuse in range(1, FUSES + 1) for side in "ab"]
        choices.append(Choice("cell.op0", tuple(OPERATIONS)))
        for layer in range(1, LAYERS + 1):
            choices += [Choice(f"cell.layer{layer}.{side}", tuple(places(layer))) for side in "ab"]
            choices += [Choice(f"cell.layer{layer}.op_{side}", tuple(OPERATIONS)) for side in "ab"]
        self.choices: Sequence[Choice] = tuple(choices)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Uniform over decisions."""
        return uniform_decisions(self, rng)

    def decode(self, decisions: Decisions) -> Candidate:
        names = list(OPERATIONS)
        layers, connections = [], []
        for layer in range(1, LAYERS + 1):
            a, b = (places(layer).index(str(decisions[f"cell.layer{layer}.{side}"])) for side in "ab")
            op_a, op_b = (names.index(str(decisions[f"cell.layer{layer}.op_{side}"])) for side in "ab")
            layers.append((a, b, op_a, op_b))
        for fuse in range(1, FUSES + 1):
            a, b = (pool(fuse).index(str(decisions[f"fuse{fuse}.{side}"])) for side in "ab")
            connections.append((a, b))
        first = names.index(str(decisions["cell.op0"]))
        return Candidate(auxcells_genotype(self.name, first, layers, connections))


SPACES.register("auxcells", AuxCellsSpace())
