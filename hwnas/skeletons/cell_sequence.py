"""``cell-sequence``: layers of searched cells, each of which may have a cell of its own; shared by ``cas`` and ``gas``.

Parameters: ``sequence``, the cell of each layer, by its role; ``reductions``, the layers that halve the size and double
the width (none: ``()``); ``channels`` C (24), the width of the first; ``head`` (``lraspp``), see
:mod:`hwnas.skeletons.heads`; ``head_width`` (128), the width of the cell ``multi_scale``; ``auxiliary``, whether there
is a head behind the last reduction that only training looks at.

Cells have the inputs ``c_{k-2}`` and ``c_{k-1}`` and are placed as DARTS's are; the stem of three strided convolutions
leaves at stride 8. A cell ``multi_scale`` with one input, where there is one, takes the place of the head.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.darts import imagenet_stem
from hwnas.skeletons.heads import add_auxiliary, add_head
from hwnas.skeletons.multi_scale import place_multi_scale
from hwnas.skeletons.parameters import read_params
from hwnas.skeletons.searched_cell import Manner, place_searched_cell, project, reduce

DEFAULTS: Mapping[str, Value] = {
    "sequence": (),
    "reductions": (),
    "channels": 24,
    "head": "lraspp",
    "head_width": 128,
    "auxiliary": False,
}
STEM_STRIDE = 8
MULTI_SCALE = "multi_scale"


def cell_sequence(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a cell or parameter that does not fit."""
    params = read_params("cell-sequence", genotype.params, DEFAULTS)
    sequence, reductions = _layers(genotype, params)
    width, stride = int(str(params["channels"])), STEM_STRIDE
    builder = GraphBuilder(input_shape)
    before, last = imagenet_stem(builder, width)
    features = {STEM_STRIDE // 2: before, STEM_STRIDE: last}
    halved, outputs = True, list[str]()
    for layer, role in enumerate(sequence):
        reduces, name = layer in reductions, f"cell{layer}"
        width *= 2 if reduces else 1
        bring = reduce if halved else project
        inputs = [
            bring(builder, f"{name}/preprocess0", before, width),
            project(builder, f"{name}/preprocess1", last, width),
        ]
        before, halved = last, reduces
        last = place_searched_cell(
            builder, genotype.cells[role], name, inputs, channels=width, stride=2 if reduces else 1, manner=Manner()
        )
        stride *= 2 if reduces else 1
        features[stride] = last
        outputs.append(last)
    features[stride] = builder.add("relu", "relu", [last])
    hidden = outputs[max(reductions, default=2 * len(outputs) // 3)]
    auxiliary = [add_auxiliary(builder, hidden, classes)] if params["auxiliary"] else []
    if MULTI_SCALE in genotype.cells:
        head_width = int(str(params["head_width"]))
        cell = genotype.cells[MULTI_SCALE]
        return builder.finish(place_multi_scale(builder, cell, features, classes, width=head_width), auxiliary)
    return builder.finish(add_head(builder, str(params["head"]), features, classes), auxiliary)


def _layers(genotype: Genotype, params: Mapping[str, Value]) -> tuple[tuple[str, ...], frozenset[int]]:
    where = f"genotype {genotype.name}: skeleton cell-sequence"
    sequence, reductions = params["sequence"], params["reductions"]
    assert isinstance(sequence, tuple) and isinstance(reductions, tuple)
    for role in sequence or ("normal",):
        if not isinstance(role, str) or role not in genotype.cells or len(genotype.cells[role].inputs) != 2:
            raise GenotypeError(f"{where}: layer cell {role!r} is not a cell with two inputs of the genotype")
    if not sequence:
        raise GenotypeError(f"{where}: sequence must name the cell of at least one layer")
    if MULTI_SCALE in genotype.cells and len(genotype.cells[MULTI_SCALE].inputs) != 1:
        raise GenotypeError(f"{where}: the cell {MULTI_SCALE!r} must have one input")
    for layer in reductions:
        if type(layer) is not int or not 0 <= layer < len(sequence):
            raise GenotypeError(f"{where}: reductions must be layers from 0 to {len(sequence) - 1}, not {layer!r}")
    return tuple(map(str, sequence)), frozenset(layer for layer in reductions if isinstance(layer, int))


SKELETONS.register("cell-sequence", cell_sequence)
