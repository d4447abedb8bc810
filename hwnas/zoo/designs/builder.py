"""Writing down a hand-designed network node by node. The files of the zoo are written from these (see ``write``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.zoo.catalog import ZooEntry


class CellBuilder:
    """Collects the nodes of a cell; every method adds some and returns the name of the last."""

    def __init__(self, *inputs: str) -> None:
        self.inputs = inputs
        self._nodes: list[Node] = []

    def add(self, name: str, op: str, *sources: str, **params: Value) -> str:
        """One node."""
        self._nodes.append(Node(name, op, sources, params))
        return name

    def conv(self, name: str, source: str, channels: int, kernel: int = 3, **params: Value) -> str:
        """Convolution, BatchNorm, ReLU; ``params`` are those of ``conv_3x3``."""
        return self.add(name, f"conv_{kernel}x{kernel}", source, channels=channels, **{"stride": 1, **params})

    def linear_conv(self, name: str, source: str, channels: int, kernel: int = 3, **params: Value) -> str:
        """Convolution and BatchNorm."""
        return self.conv(name, source, channels, kernel, **{"activation": "none", **params})

    def bare_conv(self, name: str, source: str, channels: int | None, kernel: int = 1, **params: Value) -> str:
        """Convolution with neither BatchNorm nor bias; ``channels=None`` are the classes."""
        given: dict[str, Value] = {} if channels is None else {"channels": channels}
        return self.add(name, f"bare_conv_{kernel}x{kernel}", source, **given, **{"bias": False, "stride": 1, **params})

    def finish(self, output: str) -> Cell:
        """The cell."""
        return Cell.of(self.inputs, self._nodes, output)


def design(
    name: str,
    network: Cell,
    *,
    paper: str,
    source: str,
    note: str = "",
    size_hw: tuple[int, int] = (1024, 2048),
    classes: int = 19,
    heads: Mapping[str, Cell] | None = None,
    classifier: bool = False,
) -> ZooEntry:
    """A network of the zoo in the skeleton ``plain``; ``heads`` are its auxiliary ones."""
    params: dict[str, Value] = {} if classifier else {"classifier": False}
    genotype = Genotype(name, "plain", {"network": network, **(heads or {})}, params)
    return ZooEntry(genotype, paper, source, size_hw, classes, note)


def one_head(inputs: Sequence[str], nodes: Sequence[Node]) -> Cell:
    """A cell whose output is the last of its nodes."""
    return Cell.of(inputs, nodes, nodes[-1].name)
