"""``cell-segmentation``: the cells of DARTS and NASNet stacked as in ``darts-imagenet``, under any head.

Parameters, all with defaults: ``channels`` C (24), the width of the first cells; ``layers`` (8), of which those at a
third and at two thirds are reduction cells, which double the width; ``output_stride`` (16; 8 or 32): the stem leaves at
stride 8, and reductions that would go beyond the output stride keep the size; ``head`` (``lraspp``), see
:mod:`hwnas.skeletons.heads`, which gets the last features at each stride from 4 on; ``auxiliary``, whether there is a
head behind the second reduction that only training looks at.

Cells: ``normal`` and ``reduce``, with the inputs ``c_{k-2}`` and ``c_{k-1}``.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.darts import imagenet_stem, reduction_layers, stack_cells
from hwnas.skeletons.heads import add_auxiliary, add_head
from hwnas.skeletons.parameters import read_params

DEFAULTS: Mapping[str, Value] = {
    "channels": 24,
    "layers": 8,
    "output_stride": 16,
    "head": "lraspp",
    "auxiliary": False,
}
STEM_STRIDE = 8
STRIDES = {8: (1, 1), 16: (2, 1), 32: (2, 2)}


def cell_segmentation(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a cell or parameter that does not fit."""
    params = read_params("cell-segmentation", genotype.params, DEFAULTS)
    strides = STRIDES.get(int(str(params["output_stride"])))
    if strides is None:
        raise GenotypeError(
            f"skeleton cell-segmentation: output_stride must be 8, 16 or 32, not {params['output_stride']}"
        )
    builder = GraphBuilder(input_shape)
    stem = imagenet_stem(builder, int(str(params["channels"])))
    outputs, second = stack_cells(
        builder, genotype, stem, params, skeleton="cell-segmentation", halved=True, strides=strides
    )
    features = {STEM_STRIDE // 2: stem[0], STEM_STRIDE: stem[1]}
    stride, layers = STEM_STRIDE, len(outputs)
    for layer, output in enumerate(outputs):
        for place, factor in zip(reduction_layers(layers), strides, strict=True):
            stride *= factor if layer == place else 1
        features[stride] = output
    features[stride] = builder.add("relu", "relu", [features[stride]])
    logits = add_head(builder, str(params["head"]), features, classes)
    return builder.finish(logits, [add_auxiliary(builder, outputs[second], classes)] if params["auxiliary"] else [])


SKELETONS.register("cell-segmentation", cell_segmentation)
