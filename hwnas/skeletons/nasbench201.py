"""NAS-Bench-201's network (arXiv 2001.00326): ``nasbench201``, a classifier of 32x32 (or 16x16) images.

Parameters, with defaults: ``channels`` C (16) and ``repeats`` N (5): three groups of N cells at C, 2 C and 4 C
channels, with a residual block of stride 2 between them. The one cell is called ``cell`` and has one input. As in the
authors' code (D-X-Y/AutoDL-Projects, xautodl/models/cell_infers/tiny_network.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.parameters import read_params
from hwnas.skeletons.placing import place_cell
from hwnas.skeletons.searched_cell import classify

DEFAULTS: Mapping[str, Value] = {"channels": 16, "repeats": 5}


def nasbench201(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a cell or parameter that does not fit."""
    params = read_params("nasbench201", genotype.params, DEFAULTS)
    cell = genotype.cells.get("cell")
    if cell is None or len(cell.inputs) != 1:
        raise GenotypeError(f"genotype {genotype.name}: skeleton nasbench201 needs a cell 'cell' with one input")
    builder = GraphBuilder(input_shape)
    width = int(str(params["channels"]))
    last = builder.add("stem", "conv_3x3", [builder.input], {"channels": width, "activation": "none"})
    for group in range(3):
        if group:
            width *= 2
            last = _residual(builder, f"residual{group}", last, width)
        for repeat in range(int(str(params["repeats"]))):
            last = place_cell(builder, cell, f"group{group}/cell{repeat}", {cell.inputs[0]: last}, channels=width)
    last = builder.add("last", "batch_norm", [last])
    return builder.finish(classify(builder, last, classes))


def _residual(builder: GraphBuilder, name: str, source: str, channels: int) -> str:
    first = builder.add(f"{name}/conv0", "nor_conv_3x3", [source], {"channels": channels, "stride": 2})
    second = builder.add(f"{name}/conv1", "nor_conv_3x3", [first], {"channels": channels})
    pooled = builder.add(f"{name}/pool", "avg_pool_2x2", [source])
    shortcut = builder.add(f"{name}/shortcut", "bare_conv_1x1", [pooled], {"channels": channels, "bias": False})
    return builder.add(f"{name}/add", "add", [second, shortcut])


SKELETONS.register("nasbench201", nasbench201)
