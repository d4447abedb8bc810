"""ENAS's micro network (arXiv 1802.03268): ``enas-micro``, a CIFAR-10 classifier of stacked cells.

Parameters, all with defaults: ``filters`` (36), the width of the first cells; ``layers`` N (15): there are N + 2 cells,
of which the cells N // 3 and 2 (N // 3) + 1 reduce, halving the size and doubling the width; ``auxiliary``, whether
there is the head behind the cell after the second reduction that only training looks at.

Cells: ``normal`` and ``reduce``, with the inputs ``c_{k-2}`` and ``c_{k-1}``. Both inputs are brought to the cell's
size and width where they differ, and the newer one is projected once more. The classifier has no bias. As in the
authors' code (melodyguan/enas, src/cifar10/micro_child.py), which pads pooling and strided convolutions as TensorFlow
does.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.parameters import read_params
from hwnas.skeletons.searched_cell import Manner, cells_of, classify, place_searched_cell, project, reduce

DEFAULTS: Mapping[str, Value] = {"filters": 36, "layers": 15, "auxiliary": False}
MANNER = Manner(skip="none", widen_first=True)
STEM_MULTIPLIER = 3


def enas_micro(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a cell or parameter that does not fit."""
    params = read_params("enas-micro", genotype.params, DEFAULTS)
    normal, reduction = cells_of(genotype, "enas-micro")
    width, layers = int(str(params["filters"])), int(str(params["layers"]))
    builder = GraphBuilder(input_shape)
    given: dict[str, Value] = {"channels": STEM_MULTIPLIER * width, "activation": "none"}
    stem = builder.add("stem", "conv_3x3", [builder.input], given)
    before, last = stem, stem
    places = (layers // 3, 2 * (layers // 3) + 1)
    auxiliary: list[str] = []
    for layer in range(layers + 2):
        reduces = layer in places
        width *= 2 if reduces else 1
        inputs = _calibrated(builder, f"cell{layer}", before, last, width)
        before, last = (
            last,
            place_searched_cell(
                builder,
                reduction if reduces else normal,
                f"cell{layer}",
                inputs,
                channels=width,
                stride=2 if reduces else 1,
                manner=MANNER,
            ),
        )
        if layer == places[1] + 1 and params["auxiliary"]:
            head: dict[str, Value] = {"classes": classes, "stride": 3, "padded": True, "bias": False}
            auxiliary.append(builder.add("auxiliary", "auxiliary_head", [last], head))
    rectified = builder.add("relu", "relu", [last])
    return builder.finish(classify(builder, rectified, classes, bias=False), auxiliary)


def _calibrated(builder: GraphBuilder, name: str, before: str, last: str, width: int) -> list[str]:
    """Both inputs of a cell at its size and width."""
    if builder.shape(before)[1:] != builder.shape(last)[1:]:
        before = reduce(builder, f"{name}/calibrate0", before, width)
    elif builder.shape(before)[0] != width:
        before = project(builder, f"{name}/calibrate0", before, width)
    if builder.shape(last)[0] != width:
        last = project(builder, f"{name}/calibrate1", last, width)
    return [before, project(builder, f"{name}/base", last, width)]


SKELETONS.register("enas-micro", enas_micro)
