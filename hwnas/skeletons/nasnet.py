"""NASNet's networks (arXiv 1707.07012): ``nasnet-cifar`` and ``nasnet-imagenet``, the paper's classifiers ``N @ F``.

Parameters, all with defaults: ``repeats`` N, normal cells in each of three groups with a reduction cell between them,
which halves the size and doubles the width; ``filters``, the width of the first group: the paper's F, the channels of
the last features, is 24 times that for NASNet-A (6 concatenated states, doubled twice); ``stem``, channels of the first
convolution; ``skip_reduction``, whether the cell behind a reduction takes as its older input what that reduction took
(NASNet-A Large), instead of that reduction's newer input; ``auxiliary``, whether there is the head before the second
reduction that only training looks at. Defaults: 6 @ 768 on CIFAR (32 filters), 4 @ 1056 on ImageNet (44 filters).

Cells: ``normal`` and ``reduce``, with the inputs ``c_{k-2}`` and ``c_{k-1}``. Only the newer input is always projected
to the cell's width; the older one where its size or width differs. As in the authors' code (tensorflow/models,
research/slim/nets/nasnet), except that the first convolution pads (theirs makes 111x111 of 224x224, ours 112x112) and
that the auxiliary head's second convolution is always 4x4, the size that its map has in the networks of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.parameters import read_params
from hwnas.skeletons.searched_cell import Manner, cells_of, classify, place_searched_cell, project, reduce

CIFAR: Mapping[str, Value] = {
    "repeats": 6,
    "filters": 32,
    "stem": 96,
    "skip_reduction": False,
    "auxiliary": False,
}
IMAGENET: Mapping[str, Value] = {**CIFAR, "repeats": 4, "filters": 44, "stem": 32}
MANNER = Manner(skip="pointwise", widen_first=True)


def nasnet_cifar(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a cell or parameter that does not fit."""
    params = read_params("nasnet-cifar", genotype.params, CIFAR)
    builder = GraphBuilder(input_shape)
    given: dict[str, Value] = {"channels": params["stem"], "activation": "none"}
    stem = builder.add("stem", "conv_3x3", [builder.input], given)
    return _groups(builder, genotype, ["", stem], params, classes, "nasnet-cifar")


def nasnet_imagenet(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a cell or parameter that does not fit."""
    params = read_params("nasnet-imagenet", genotype.params, IMAGENET)
    filters = int(str(params["filters"]))
    if filters < 4:
        raise GenotypeError("skeleton nasnet-imagenet: filters must be at least 4: the stem begins with a quarter")
    builder = GraphBuilder(input_shape)
    given: dict[str, Value] = {"channels": params["stem"], "stride": 2, "activation": "none"}
    last = builder.add("stem", "conv_3x3", [builder.input], given)
    before = ""
    _, reduction = cells_of(genotype, "nasnet-imagenet")
    for index, share in enumerate((4, 2)):
        made = _cell(builder, reduction, f"stem/cell{index}", before, last, filters // share, stride=2)
        before, last = last, made
    return _groups(builder, genotype, [before, last], params, classes, "nasnet-imagenet")


def _groups(
    builder: GraphBuilder,
    genotype: Genotype,
    outputs: list[str],
    params: Mapping[str, Value],
    classes: int,
    skeleton: str,
) -> OpGraph:
    """The three groups of normal cells with the reductions between them, and the classifier."""
    normal, reduction = cells_of(genotype, skeleton)
    width, repeats = int(str(params["filters"])), int(str(params["repeats"]))
    auxiliary: list[str] = []
    for layer in range(3 * repeats):
        older = outputs[-2]
        if layer and layer % repeats == 0:
            width *= 2
            name = f"reduction{layer // repeats - 1}"
            outputs.append(_cell(builder, reduction, name, outputs[-2], outputs[-1], width, stride=2))
            older = older if params["skip_reduction"] else outputs[-2]
        outputs.append(_cell(builder, normal, f"cell{layer}", older, outputs[-1], width, stride=1))
        if layer == 2 * repeats - 1 and params["auxiliary"]:
            given: dict[str, Value] = {"classes": classes, "stride": 3, "kernel": 4}
            auxiliary.append(builder.add("auxiliary", "auxiliary_head", [outputs[-1]], given))
    last = builder.add("relu", "relu", [outputs[-1]])
    return builder.finish(classify(builder, last, classes), auxiliary)


def _cell(builder: GraphBuilder, cell: Cell, name: str, older: str, newer: str, width: int, *, stride: int) -> str:
    """One cell; the first of a network has no ``older`` output and takes the newer one as it is in its place."""
    if not older:
        adjusted = newer
    elif builder.shape(older)[1:] != builder.shape(newer)[1:]:
        adjusted = reduce(builder, f"{name}/preprocess0", older, width)
    elif builder.shape(older)[0] != width:
        adjusted = project(builder, f"{name}/preprocess0", older, width)
    else:
        adjusted = older
    inputs = [adjusted, project(builder, f"{name}/preprocess1", newer, width)]
    return place_searched_cell(builder, cell, name, inputs, channels=width, stride=stride, manner=MANNER)


SKELETONS.register("nasnet-cifar", nasnet_cifar)
SKELETONS.register("nasnet-imagenet", nasnet_imagenet)
