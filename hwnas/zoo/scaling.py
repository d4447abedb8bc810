"""Hand-designed networks at other widths: a pure transformation of plain genotypes."""

from __future__ import annotations

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node


def scale_widths(genotype: Genotype, factor: float, *, multiple: int = 4) -> Genotype:
    """A ``plain`` genotype with every ``channels`` multiplied by ``factor`` and rounded to ``multiple``."""
    if genotype.skeleton != "plain":
        raise GenotypeError(
            f"{genotype.name}: only genotypes of the skeleton plain can be scaled, not {genotype.skeleton}"
        )
    if factor <= 0:
        raise GenotypeError(f"{genotype.name}: the width factor must be positive, not {factor}")
    cells = {role: _scaled(cell, factor, multiple) for role, cell in genotype.cells.items()}
    return Genotype(f"{genotype.name}-x{factor:g}", "plain", cells, genotype.params)


def _scaled(cell: Cell, factor: float, multiple: int) -> Cell:
    nodes = []
    for node in cell.nodes:
        params = dict(node.params)
        channels = params.get("channels")
        if isinstance(channels, int):
            params["channels"] = max(multiple, round(channels * factor / multiple) * multiple)
        nodes.append(Node(node.name, node.op, node.inputs, params))
    return Cell.of(cell.inputs, nodes, cell.output)
