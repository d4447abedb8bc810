"""Auto-DeepLab's network (arXiv 1901.02985): one cell stacked along a path through resolutions, and a head.

Parameters: ``path``, the level of each layer's cell (0: stride 4, 1: 8, 2: 16, 3: 32), ``filters`` F (a cell at level l
works on F·2^l channels), ``head`` (see :mod:`hwnas.skeletons.heads`). From one layer to the next the path goes one
level up, one down, or stays; the stem leaves at stride 4, so it starts at level 0 or 1.

The cell is called ``cell``; its inputs are ``current``, the output of the layer before, and ``previous``, that of the
layer before that, resized to ``current``; both are projected to the cell's channels. Where the path goes to a coarser
level, the ops next to the cell's inputs stride, and a ``skip_connect`` among them becomes ReLU and a 1x1 convolution;
where it goes to a finer one, ``current`` is resized before.

As in the authors' code (tensorflow/models, research/deeplab/core/nas_network.py and nas_cell.py), which also takes the
output of the third cell for the head's low-level features, whatever its stride. A path that ends at stride 4 has no
finer features than its own, and none are given to the head.
"""

from __future__ import annotations

from dataclasses import replace

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Params, Shape
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.heads import add_head
from hwnas.skeletons.placing import place_cell, resized

CELL_INPUTS = ("current", "previous")
LEVELS = 4
STEM_STRIDE = 4
LOW_LEVEL_LAYER = 2
DEFAULT_HEAD = "aspp:kind=full"


def auto_deeplab(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a path that leaves the trellis and a cell or a parameter that does not fit."""
    path, filters, head = _parameters(genotype.params)
    cell = genotype.cells.get("cell")
    if cell is None or not set(cell.inputs) <= set(CELL_INPUTS):
        raise GenotypeError(f"genotype {genotype.name}: skeleton auto-deeplab needs a cell 'cell' with {CELL_INPUTS}")
    builder = GraphBuilder(input_shape)
    outputs = _stem(builder)
    level = 0
    for layer, target in enumerate(path):
        outputs.append(_layer(builder, cell, f"cell{layer}", outputs[-2:], filters, level, target))
        level = target
    last = builder.add("relu", "relu", [outputs[-1]])
    features = {STEM_STRIDE: outputs[2 + min(LOW_LEVEL_LAYER, len(path) - 1)], STEM_STRIDE << level: last}
    return builder.finish(add_head(builder, head, features, classes))


def check_path(path: tuple[int, ...]) -> None:
    """GenotypeError unless ``path`` stays on the trellis: levels 0 to 3, one step at a time, from level 0 or 1."""
    hint = "levels are 0 (stride 4) to 3 (stride 32); each layer is at most one level from the one before"
    level = 0
    for layer, target in enumerate(path):
        if not 0 <= target < LEVELS:
            raise GenotypeError(f"the path leaves the trellis: layer {layer} is at level {target}", hint)
        if abs(target - level) > 1:
            start = f"layer {layer - 1} is at level {level}" if layer else "the stem ends at level 0"
            raise GenotypeError(f"the path leaves the trellis: layer {layer} is at level {target}, but {start}", hint)
        level = target


def _stem(builder: GraphBuilder) -> list[str]:
    """Three convolutions to stride 4; what the first two cells take for the outputs of layers before them."""
    plain = {"activation": "none"}
    first = builder.add("stem/conv0", "conv_3x3", [builder.input], {"channels": 64, "stride": 2})
    second = builder.add("stem/conv1", "conv_3x3", [first], {"channels": 64, **plain})
    rectified = builder.add("stem/relu", "relu", [second])
    return [second, builder.add("stem/conv2", "conv_3x3", [rectified], {"channels": 128, "stride": 2, **plain})]


def _layer(
    builder: GraphBuilder, cell: Cell, name: str, before: list[str], filters: int, level: int, target: int
) -> str:
    """One cell at level ``target``; ``before`` are the outputs of the two layers before it, the last at ``level``."""
    previous, current = before
    channels, (_, height, width) = filters << target, builder.shape(builder.input)
    if target < level:
        stride = STEM_STRIDE << target
        current = resized(builder, f"{name}/up", current, (-(-height // stride), -(-width // stride)))
    previous = resized(builder, f"{name}/previous/resize", previous, builder.shape(current)[1:])
    if builder.shape(previous)[0] != channels:
        previous = builder.add(f"{name}/previous/project", "nor_conv_1x1", [previous], {"channels": channels})
    current = builder.add(f"{name}/current/project", "nor_conv_1x1", [current], {"channels": channels})
    if target > level:
        cell, stride = _strided(cell), 2
    else:
        stride = 1
    inputs = {"current": current, "previous": previous}
    return place_cell(builder, cell, name, {key: inputs[key] for key in cell.inputs}, stride=stride, channels=channels)


def _strided(cell: Cell) -> Cell:
    """``cell`` with ReLU and a strided 1x1 convolution in place of skips next to its inputs."""
    nodes = [
        replace(node, op="nor_conv_1x1") if node.op == "skip_connect" and node.inputs[0] in cell.inputs else node
        for node in cell.nodes
    ]
    return Cell.of(cell.inputs, nodes, cell.output)


def _parameters(params: Params) -> tuple[tuple[int, ...], int, str]:
    unknown = sorted(set(params) - {"path", "filters", "head"})
    if unknown:
        raise GenotypeError(f"skeleton auto-deeplab has no parameter {unknown[0]!r}")
    path, filters, head = params.get("path"), params.get("filters"), params.get("head", DEFAULT_HEAD)
    if not isinstance(path, tuple) or not path or not all(type(level) is int for level in path):
        raise GenotypeError(f"skeleton auto-deeplab: path must be a list of levels, not {path!r}")
    if type(filters) is not int or filters < 1:
        raise GenotypeError(f"skeleton auto-deeplab: filters must be a whole number of at least 1, not {filters!r}")
    if not isinstance(head, str):
        raise GenotypeError(f"skeleton auto-deeplab: head must be a text, not {head!r}")
    levels = tuple(level for level in path if isinstance(level, int))
    check_path(levels)
    return levels, filters, head


SKELETONS.register("auto-deeplab", auto_deeplab)
