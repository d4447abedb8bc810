"""Nekrasov et al.'s decoder over MobileNetV2 (arXiv 1810.10804): which features are fused, through a contextual cell.

The features of the encoder are projected to ``width`` channels and are the pool's first members. Each of the
``connections`` (i, j) takes two members, sends each through a contextual cell of its own (same cell, own weights) and a
1x1 convolution, adds them, the smaller one resized, and puts the sum into the pool. Sums that none has taken are
concatenated, projected by a 1x1 convolution and classified by a 3x3 convolution. ``auxiliary`` adds a classifier on
every sum, ``auxiliary_cells`` another contextual cell before it: both are for training alone.

Parameters: ``layers`` of the encoder that are taken, ``connections``, ``width`` (64), ``repeats`` of the separable
convolutions (2; 1 while searching), ``auxiliary`` and ``auxiliary_cells`` (false). Cell: ``context``, of one input.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.mobilenet_v2 import LAYERS, mobilenet_v2
from hwnas.skeletons.placing import full_size, place_cell, resized

DEFAULTS: dict[str, Value | None] = {
    "layers": None,
    "connections": None,
    "width": 64,
    "repeats": 2,
    "auxiliary": False,
    "auxiliary_cells": False,
}


def auxcells(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; raises GenotypeError for a missing cell, or a parameter that does not fit."""
    params = checked_params(genotype, "auxcells", DEFAULTS)
    cell = genotype.cells.get("context")
    if cell is None or len(cell.inputs) != 1:
        raise GenotypeError(f"genotype {genotype.name}: skeleton auxcells needs a cell 'context' with one input")
    layers, width = encoder_layers(genotype, params["layers"]), whole_param(genotype, params, "width")
    given = {"channels": width, "repeats": whole_param(genotype, params, "repeats")}
    builder = GraphBuilder(input_shape)
    pool = [
        builder.add(f"decoder/adapt{index}", "conv_1x1", [source], {"channels": width})
        for index, source in enumerate(mobilenet_v2(builder, layers), start=1)
    ]
    loose: list[int] = []
    auxiliary = []
    for index, pair in enumerate(_connections(genotype, params["connections"], len(pool)), start=1):
        loose = [member for member in loose if member not in pair] + [len(pool)]
        pool.append(_fused(builder, cell, f"decoder/fuse{index}", [pool[member] for member in pair], given))
        if params["auxiliary"]:
            source = pool[-1]
            if params["auxiliary_cells"]:
                source = place_cell(builder, cell, f"auxiliary{index}/cell", {cell.inputs[0]: source}, **given)
            auxiliary.append(_classified(builder, f"auxiliary{index}", source, classes))
    joined = collected(builder, [pool[member] for member in loose])
    return builder.finish(classifier(builder, joined, width, classes), auxiliary)


def _fused(builder: GraphBuilder, cell: Cell, name: str, sources: Sequence[str], given: dict[str, int]) -> str:
    branches = []
    for side, source in zip("ab", sources, strict=True):
        context = place_cell(builder, cell, f"{name}/{side}", {cell.inputs[0]: source}, **given)
        branches.append(builder.add(f"{name}/{side}/project", "conv_1x1", [context], {"channels": given["channels"]}))
    size = max(builder.shape(branch)[1:] for branch in branches)
    sized = [resized(builder, f"{branch}/resize", branch, (size[0], size[1])) for branch in branches]
    return builder.add(f"{name}/add", "add", sized)


def _classified(builder: GraphBuilder, name: str, source: str, classes: int) -> str:
    _, height, width = builder.shape(builder.input)
    logits = builder.add(f"{name}/classifier", "bare_conv_3x3", [source], {"channels": classes})
    return resized(builder, f"{name}/upsample", logits, (height, width))


def collected(builder: GraphBuilder, sources: Sequence[str]) -> str:
    """All of ``sources`` in the size of the largest, concatenated, and a ReLU."""
    size = max(builder.shape(source)[1:] for source in sources)
    sized = [resized(builder, f"decoder/join/{i}", source, (size[0], size[1])) for i, source in enumerate(sources)]
    joined = builder.add("decoder/join", "concat", sized) if len(sized) > 1 else sized[0]
    return builder.add("decoder/relu", "relu", [joined])


def classifier(builder: GraphBuilder, source: str, width: int, classes: int) -> str:
    """A 1x1 convolution to ``width`` channels, a 3x3 convolution to logits, in full size."""
    source = builder.add("decoder/project", "conv_1x1", [source], {"channels": width})
    return full_size(builder, builder.add("classifier", "bare_conv_3x3", [source], {"channels": classes}))


def checked_params(genotype: Genotype, skeleton: str, defaults: dict[str, Value | None]) -> dict[str, Value]:
    """The genotype's parameters over ``defaults``; GenotypeError for an unknown, a missing or an ill-typed switch."""
    unknown = sorted(set(genotype.params) - set(defaults))
    if unknown:
        raise GenotypeError(
            f"genotype {genotype.name}: skeleton {skeleton} has no parameter {unknown[0]!r}",
            f"its parameters are: {', '.join(defaults)}",
        )
    full: dict[str, Value] = {}
    for name, default in defaults.items():
        value = genotype.params.get(name, default)
        if value is None or (isinstance(default, bool) and not isinstance(value, bool)):
            wanted = "true or false" if isinstance(default, bool) else "given"
            raise GenotypeError(f"genotype {genotype.name}: parameter {name!r} of skeleton {skeleton} must be {wanted}")
        full[name] = value
    return full


def whole_param(genotype: Genotype, params: dict[str, Value], name: str) -> int:
    """A parameter that must be a whole number of at least 1."""
    value = params[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise GenotypeError(f"genotype {genotype.name}: {name} must be a whole number of at least 1, not {value!r}")
    return value


def rows_of_numbers(genotype: Genotype, name: str, value: Value, length: int) -> list[tuple[int, ...]]:
    """A parameter that must be a list of lists of ``length`` whole numbers from 0."""
    rows = value if isinstance(value, tuple) else ()
    good = [row for row in rows if isinstance(row, tuple) and len(row) == length]
    if not rows or len(good) != len(rows) or not all(type(item) is int and item >= 0 for row in good for item in row):
        raise GenotypeError(f"genotype {genotype.name}: {name} must be lists of {length} whole numbers, not {value!r}")
    return [tuple(int(str(item)) for item in row) for row in good]


def encoder_layers(genotype: Genotype, value: Value) -> tuple[int, ...]:
    """The parameter ``layers``: different places in the encoder, ascending."""
    layers = rows_of_numbers(
        genotype, "layers", tuple((item,) for item in value) if isinstance(value, tuple) else (), 1
    )
    places = tuple(layer for (layer,) in layers)
    if list(places) != sorted(set(places)) or places[-1] >= len(LAYERS):
        raise GenotypeError(
            f"genotype {genotype.name}: layers must ascend from 0 to at most {len(LAYERS) - 1}, not {places}"
        )
    return places


def _connections(genotype: Genotype, value: Value, members: int) -> list[tuple[int, ...]]:
    pairs = rows_of_numbers(genotype, "connections", value, 2)
    for index, pair in enumerate(pairs):
        if max(pair) >= members + index:
            raise GenotypeError(
                f"genotype {genotype.name}: connection {index} is {pair}, "
                f"but the pool has {members + index} members then"
            )
    return pairs


SKELETONS.register("auxcells", auxcells)
