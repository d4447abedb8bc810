"""DARTS's two networks (arXiv 1806.09055): ``darts-cifar`` and ``darts-imagenet``, classifiers of stacked cells.

Parameters, all with defaults: ``channels`` C (36; ImageNet 48), the width of the first cells; ``layers`` (20; 14), of
which those at a third and at two thirds reduce, halving the size and doubling the width; ``auxiliary``, whether there
is the head behind the second reduction that only training looks at; ``auxiliary_norm``, whether its second convolution
has a BatchNorm (DARTS left it out on ImageNet, SNAS and GDAS did not); ``pool_norm``, whether a BatchNorm follows every
pooling (SNAS); ``stem_multiplier`` (CIFAR only, 3): channels of the stem as a multiple of C.

Cells: ``normal`` and ``reduce``, with the inputs ``c_{k-2}`` and ``c_{k-1}``: each is a sum of two ops at every node
and a concatenation at the end. Images: 32x32 for CIFAR, 224x224 for ImageNet, or any others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.parameters import read_params
from hwnas.skeletons.searched_cell import Manner, cells_of, classify, place_searched_cell, project, reduce

CIFAR: Mapping[str, Value] = {
    "channels": 36,
    "layers": 20,
    "auxiliary": False,
    "auxiliary_norm": True,
    "pool_norm": False,
    "stem_multiplier": 3,
}
IMAGENET: Mapping[str, Value] = {
    "channels": 48,
    "layers": 14,
    "auxiliary": False,
    "auxiliary_norm": False,
    "pool_norm": False,
}


def darts_cifar(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a cell or parameter that does not fit."""
    params = read_params("darts-cifar", genotype.params, CIFAR)
    builder = GraphBuilder(input_shape)
    channels = int(str(params["channels"])) * int(str(params["stem_multiplier"]))
    stem = builder.add("stem", "conv_3x3", [builder.input], {"channels": channels, "activation": "none"})
    outputs, second = stack_cells(builder, genotype, [stem, stem], params, skeleton="darts-cifar", halved=False)
    auxiliary = _auxiliary(builder, outputs[second], classes, params, stride=3)
    return builder.finish(classify(builder, outputs[-1], classes), auxiliary)


def darts_imagenet(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a cell or parameter that does not fit."""
    params = read_params("darts-imagenet", genotype.params, IMAGENET)
    builder = GraphBuilder(input_shape)
    stem = imagenet_stem(builder, int(str(params["channels"])))
    outputs, second = stack_cells(builder, genotype, stem, params, skeleton="darts-imagenet", halved=True)
    auxiliary = _auxiliary(builder, outputs[second], classes, params, stride=2)
    return builder.finish(classify(builder, outputs[-1], classes), auxiliary)


def imagenet_stem(builder: GraphBuilder, channels: int) -> list[str]:
    """Three strided convolutions; the first cell's inputs, at strides 4 and 8."""
    if channels < 2:
        raise GenotypeError("channels must be at least 2: the stem begins with half of them")
    plain: dict[str, Value] = {"channels": channels, "stride": 2, "activation": "none"}
    first = builder.add("stem/conv0", "conv_3x3", [builder.input], {"channels": channels // 2, "stride": 2})
    quarter = builder.add("stem/conv1", "conv_3x3", [first], plain)
    return [quarter, builder.add("stem/conv2", "nor_conv_3x3", [quarter], {"channels": channels, "stride": 2})]


def reduction_layers(layers: int) -> tuple[int, int]:
    """Which of so many cells are reductions."""
    return layers // 3, 2 * layers // 3


def stack_cells(
    builder: GraphBuilder,
    genotype: Genotype,
    stem: Sequence[str],
    params: Mapping[str, Value],
    *,
    skeleton: str,
    halved: bool,
    strides: tuple[int, int] = (2, 2),
) -> tuple[list[str], int]:
    """Add all cells behind the two nodes of ``stem``; (the output of every layer, the index of the second reduction).

    ``halved``: the second node of the stem has half the size of the first. ``strides`` are those of the two reductions:
    with 1, a reduction cell keeps the size and only doubles the width.
    """
    normal, reduction = cells_of(genotype, skeleton)
    layers, width = int(str(params["layers"])), int(str(params["channels"]))
    manner = Manner(pool_norm=bool(params.get("pool_norm", False)))
    places = reduction_layers(layers)
    before, last = stem
    outputs: list[str] = []
    for layer in range(layers):
        reduces = layer in places
        stride = strides[places.index(layer)] if reduces else 1
        width *= 2 if reduces else 1
        name = f"cell{layer}"
        bring = reduce if halved else project
        inputs = [
            bring(builder, f"{name}/preprocess0", before, width),
            project(builder, f"{name}/preprocess1", last, width),
        ]
        cell = reduction if reduces else normal
        before, halved = last, stride > 1
        last = place_searched_cell(builder, cell, name, inputs, channels=width, stride=stride, manner=manner)
        outputs.append(last)
    return outputs, places[1]


def _auxiliary(
    builder: GraphBuilder, source: str, classes: int, params: Mapping[str, Value], *, stride: int
) -> list[str]:
    if not params["auxiliary"]:
        return []
    given: dict[str, Value] = {"classes": classes, "stride": stride, "norm": params["auxiliary_norm"]}
    return [builder.add("auxiliary", "auxiliary_head", [source], given)]


SKELETONS.register("darts-cifar", darts_cifar)
SKELETONS.register("darts-imagenet", darts_imagenet)
