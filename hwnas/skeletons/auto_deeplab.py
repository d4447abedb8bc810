"""Auto-DeepLab's network (arXiv 1901.02985): one cell stacked along a path through resolutions, and a head.

Parameters: ``path``, the level of each layer's cell (0: stride 4, 1: 8, 2: 16, 3: 32), ``filters`` F (a cell at level l
works on F·2^l channels), ``head`` (see :mod:`hwnas.skeletons.heads`), ``auxiliary`` (false), whether there is a head
behind two thirds of the cells that only training looks at. From one layer to the next the path goes one
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

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.gates import Gate, Is
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph, PrefixedBuilder
from hwnas.shapes import Params, Shape
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.heads import add_auxiliary, add_head, wants_auxiliary
from hwnas.skeletons.placing import place_cell, resized

CELL_INPUTS = ("current", "previous")
LEVELS = 4
STEM_STRIDE = 4
LOW_LEVEL_LAYER = 2
DEFAULT_HEAD = "aspp:kind=full"


def auto_deeplab(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a path that leaves the trellis and a cell or a parameter that does not fit."""
    path, filters, head, auxiliary = _parameters(genotype.params)
    cell = genotype.cells.get("cell")
    if cell is None or not set(cell.inputs) <= set(CELL_INPUTS):
        raise GenotypeError(f"genotype {genotype.name}: skeleton auto-deeplab needs a cell 'cell' with {CELL_INPUTS}")
    builder = GraphBuilder(input_shape)
    outputs = _stem(builder)
    level = 0
    for layer, target in enumerate(path):
        name = f"cell{layer}"
        channels = filters << target
        current, size_hw = _current(builder, name, outputs[-1], level, target)
        previous = _adjusted(builder, f"{name}/previous", outputs[-2], size_hw, channels)
        outputs.append(_cell(builder, cell, name, current, previous, channels, strides=target > level))
        level = target
    low = outputs[2 + min(LOW_LEVEL_LAYER, len(path) - 1)]
    extra = [add_auxiliary(builder, outputs[2 + 2 * len(path) // 3], classes)] if auxiliary else []
    return builder.finish(_head(builder, head, low, outputs[-1], level, classes), extra)


def step_choice(layer: int, level: int) -> str:
    """The soft choice of where a path goes on from a place; its options are levels."""
    return f"path.layer{layer}.level{level}"


def trellis(cell: Cell, layers: int, filters: int, head: str, input_shape: Shape, classes: int) -> OpGraph:
    """All paths in one graph: a copy of ``cell`` on every edge between places, gated by :func:`step_choice`.

    A place's value is the sum of what its edges bring, each weighted as equation 6 of the paper has it; the older input
    of a cell is the sum of what leads to the place of its newer one. A head stands on every last place and on nothing
    else: GenotypeError for one that takes finer features, too (``aspp`` needs ``decoder=none``).
    """
    builder = GraphBuilder(input_shape)
    older, newer = _stem(builder)
    places: list[dict[int, str]] = [{-1: older}, {0: newer}]
    for layer in range(layers):
        made: dict[int, list[tuple[str, int]]] = {}
        for level, current in places[-1].items():
            for target in [0] if not layer else _targets(level):
                name = f"cell{layer}/from{level}to{target}"
                channels = filters << target
                source, size_hw = _current(builder, name, current, level, target)
                previous = _previous(builder, name, layer, level, places[-2], size_hw, channels)
                output = _cell(builder, cell, name, source, previous, channels, strides=target > level)
                made.setdefault(target, []).append((output, level))
        places.append({target: _place(builder, layer, target, arriving) for target, arriving in made.items()})
    return builder.finish(_heads(builder, head, places[-1], classes))


def _targets(level: int) -> list[int]:
    return [target for target in (level - 1, level, level + 1) if 0 <= target < LEVELS]


def _place(builder: GraphBuilder, layer: int, target: int, arriving: Sequence[tuple[str, int]]) -> str:
    if not layer:
        return arriving[0][0]
    gates: dict[int, Gate] = {
        slot: Is(step_choice(layer - 1, level), target) for slot, (_, level) in enumerate(arriving)
    }
    return builder.add(f"cell{layer}/at{target}", "add", [output for output, _ in arriving], gates=gates)


def _previous(
    builder: GraphBuilder,
    name: str,
    layer: int,
    level: int,
    places: Mapping[int, str],
    size_hw: tuple[int, int],
    channels: int,
) -> str:
    """What a cell takes for the layer before the last: all that can lead to the last one's ``level``."""
    if layer < 2:
        (only,) = places.values()
        return _adjusted(builder, f"{name}/previous", only, size_hw, channels)
    before = [there for there in places if abs(there - level) <= 1]
    adjusted = [_adjusted(builder, f"{name}/previous{there}", places[there], size_hw, channels) for there in before]
    gates: dict[int, Gate] = {slot: Is(step_choice(layer - 2, there), level) for slot, there in enumerate(before)}
    return builder.add(f"{name}/previous", "add", adjusted, gates=gates)


def _heads(builder: GraphBuilder, head: str, places: Mapping[int, str], classes: int) -> str:
    """The sum of the logits of a head on every last place, as in the paper; a head is there where its place is."""
    logits = []
    for level, value in places.items():
        own = PrefixedBuilder(builder, f"head{level}/")
        rectified = own.add("relu", "relu", [value])
        logits.append(add_head(own, head, {STEM_STRIDE << level: rectified}, classes))
    return builder.add("logits", "add", logits)


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


def _current(builder: GraphBuilder, name: str, source: str, level: int, target: int) -> tuple[str, tuple[int, int]]:
    """The last layer's output, resized where the path goes to a finer level, and its size."""
    if target < level:
        _, height, width = builder.shape(builder.input)
        stride = STEM_STRIDE << target
        source = resized(builder, f"{name}/up", source, (-(-height // stride), -(-width // stride)))
    _, height, width = builder.shape(source)
    return source, (height, width)


def _adjusted(builder: GraphBuilder, name: str, source: str, size_hw: tuple[int, int], channels: int) -> str:
    """The output of the layer before the last, brought to the size of the last one's and to the cell's width."""
    source = resized(builder, f"{name}/resize", source, size_hw)
    if builder.shape(source)[0] == channels:
        return source
    return builder.add(f"{name}/project", "nor_conv_1x1", [source], {"channels": channels})


def _cell(
    builder: GraphBuilder, cell: Cell, name: str, current: str, previous: str, channels: int, *, strides: bool
) -> str:
    """One cell on ``channels``, with a stride of 2 where it leads to a coarser level."""
    current = builder.add(f"{name}/current/project", "nor_conv_1x1", [current], {"channels": channels})
    inputs = {"current": current, "previous": previous}
    return place_cell(
        builder,
        _strided(cell) if strides else cell,
        name,
        {key: inputs[key] for key in cell.inputs},
        stride=2 if strides else 1,
        channels=channels,
    )


def _head(builder: GraphBuilder, head: str, low: str, last: str, level: int, classes: int) -> str:
    """The head on the last cell's output, at ``level``, and the low-level features."""
    rectified = builder.add("relu", "relu", [last])
    return add_head(builder, head, {STEM_STRIDE: low, STEM_STRIDE << level: rectified}, classes)


def _strided(cell: Cell) -> Cell:
    """``cell`` with ReLU and a strided 1x1 convolution in place of skips next to its inputs."""
    nodes = [
        replace(node, op="nor_conv_1x1") if node.op == "skip_connect" and node.inputs[0] in cell.inputs else node
        for node in cell.nodes
    ]
    return Cell.of(cell.inputs, nodes, cell.output)


def _parameters(params: Params) -> tuple[tuple[int, ...], int, str, bool]:
    unknown = sorted(set(params) - {"path", "filters", "head", "auxiliary"})
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
    return levels, filters, head, wants_auxiliary(params, "skeleton auto-deeplab")


SKELETONS.register("auto-deeplab", auto_deeplab)
