"""Plain: the whole network is one cell called ``network`` whose nodes give all their parameters.

Hand-designed networks are said in it. The cell's input is the image; the classifier and the final upsampling to full
size are the skeleton's.
"""

from __future__ import annotations

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.placing import full_size_logits, place_cell


def plain(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; raises GenotypeError where the cell ``network`` is missing or has more than one input."""
    cell = genotype.cells.get("network")
    if cell is None or len(cell.inputs) != 1:
        raise GenotypeError(f"genotype {genotype.name}: skeleton plain needs one cell 'network' with one input")
    builder = GraphBuilder(input_shape)
    features = place_cell(builder, cell, "", {cell.inputs[0]: builder.input})
    return builder.finish(full_size_logits(builder, features, classes))


SKELETONS.register("plain", plain)
