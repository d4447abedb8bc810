"""Backbone: a stem, stages of one cell each, perhaps a tail, and a head on their features.

Cells, each with one input: ``stem``; ``stage1`` … ``stageN``; ``tail``, which may be missing, on the last stage; and
``decoder`` where the head is a cell: its inputs are called ``s4``, ``s8``, … after the strides of the features that it
takes, and it gives the logits. Features of a stride are those of the last stage (or tail) at it.

Parameters:

- ``strides``: the stride of each stage, 1 or 2; its first op has it. The stem's ops say theirs.
- ``widths``: the channels of each stage, for ops that do not say theirs.
- ``dilated_stages`` (0): how many of the last stages that stride dilate instead; each doubles the dilation of all ops
  from there on that do not say theirs.
- ``head``: the text of a segmentation head (:mod:`hwnas.skeletons.heads`); ``cell``; ``classify``: the mean of the
  features and a linear layer, which gives logits (classes, 1, 1); or ``none``: the output are the features, to count
  and to time a backbone by itself.
- ``classifier_bias`` (true): whether the linear layer of ``classify`` has one.
- ``auxiliary`` (false): whether there is a head behind the last stage but one that only training looks at; where the
  network segments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Params, Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.heads import add_auxiliary, add_head, wants_auxiliary
from hwnas.skeletons.placing import full_size, place_cell

FINEST = 4
"""Heads get no features of smaller strides: those of stride 2 cost more than they tell."""
DEFAULTS: dict[str, Value | None] = {
    "strides": None,
    "widths": None,
    "head": None,
    "dilated_stages": 0,
    "classifier_bias": True,
    "auxiliary": False,
}


@dataclass(frozen=True)
class Stages:
    """The checked parameters."""

    strides: tuple[int, ...]
    widths: tuple[int, ...]
    dilated: int
    head: str
    classifier_bias: bool
    auxiliary: bool


def backbone(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; raises GenotypeError for a missing cell, or a parameter of the wrong type or length."""
    stages = _checked(genotype)
    builder = GraphBuilder(input_shape)
    source = _place(builder, genotype, "stem", builder.input)
    reached = _stride_of(builder, source)
    features, outputs = {reached: source}, [source]
    dilation = 1
    for index, (stride, width) in enumerate(zip(stages.strides, stages.widths, strict=True), start=1):
        if stride > 1 and sum(later > 1 for later in stages.strides[index - 1 :]) <= stages.dilated:
            stride, dilation = 1, dilation * stride
        reached *= stride
        given: dict[str, Value] = {"channels": width, "dilation": dilation}
        source = _place(builder, genotype, f"stage{index}", source, stride=stride, given=given)
        features[reached] = source
        outputs.append(source)
    if "tail" in genotype.cells:
        source = features[reached] = _place(builder, genotype, "tail", source)
    extra = [add_auxiliary(builder, outputs[-2], classes)] if stages.auxiliary else []
    return builder.finish(_head(builder, genotype, stages, features, source, classes), extra)


def _place(
    builder: GraphBuilder,
    genotype: Genotype,
    role: str,
    source: str,
    *,
    stride: int = 1,
    given: dict[str, Value] | None = None,
) -> str:
    cell = genotype.cells.get(role)
    if cell is None or len(cell.inputs) != 1:
        raise GenotypeError(f"genotype {genotype.name}: skeleton backbone needs a cell {role!r} with one input")
    return place_cell(builder, cell, role, {cell.inputs[0]: source}, stride=stride, **(given or {}))


def _stride_of(builder: GraphBuilder, source: str) -> int:
    """The power of two by which the stem's map is smaller than the image; sizes are rounded up at each stride."""
    return 1 << round(math.log2(builder.shape(builder.input)[1] / builder.shape(source)[1]))


def _head(
    builder: GraphBuilder, genotype: Genotype, stages: Stages, features: dict[int, str], source: str, classes: int
) -> str:
    if stages.head == "none":
        return source
    if stages.head == "classify":
        mean = builder.add("pool", "global_avg_pool", [source])
        if stages.classifier_bias:
            return builder.add("classifier", "seg_head", [mean], {"classes": classes})
        return builder.add("classifier", "bare_conv_1x1", [mean], {"channels": classes, "bias": False})
    if stages.head != "cell":
        deep = {stride: node for stride, node in features.items() if stride >= FINEST}
        return add_head(builder, stages.head, deep or features, classes)
    decoder = genotype.cells.get("decoder")
    if decoder is None:
        raise GenotypeError(f"genotype {genotype.name}: head 'cell' needs a cell 'decoder'")
    return full_size(builder, place_cell(builder, decoder, "decoder", _taken(decoder, features), classes=classes))


def _taken(decoder: Cell, features: dict[int, str]) -> dict[str, str]:
    by_name = {f"s{stride}": node for stride, node in features.items()}
    missing = [name for name in decoder.inputs if name not in by_name]
    if missing:
        raise GenotypeError(
            f"the decoder takes {missing[0]!r}, which the backbone does not give", f"there are: {', '.join(by_name)}"
        )
    return {name: by_name[name] for name in decoder.inputs}


def _checked(genotype: Genotype) -> Stages:
    where = f"genotype {genotype.name}: skeleton backbone"
    unknown = sorted(set(genotype.params) - set(DEFAULTS))
    if unknown:
        raise GenotypeError(f"{where} has no parameter {unknown[0]!r}", f"its parameters are: {', '.join(DEFAULTS)}")
    strides = _whole_numbers(where, genotype.params, "strides")
    widths = _whole_numbers(where, genotype.params, "widths")
    if len(strides) != len(widths) or not set(strides) <= {1, 2}:
        raise GenotypeError(f"{where}: strides must be 1 or 2, as many as widths ({len(widths)}), not {strides}")
    head = genotype.params.get("head")
    if not isinstance(head, str):
        raise GenotypeError(f"{where}: head must be a text, not {head!r}")
    dilated, bias = (genotype.params.get(name, DEFAULTS[name]) for name in ("dilated_stages", "classifier_bias"))
    striding = sum(stride > 1 for stride in strides)
    if not isinstance(dilated, int) or isinstance(dilated, bool) or not 0 <= dilated <= striding:
        raise GenotypeError(f"{where}: dilated_stages must be a whole number from 0 to {striding}, not {dilated!r}")
    if not isinstance(bias, bool):
        raise GenotypeError(f"{where}: classifier_bias must be true or false, not {bias!r}")
    auxiliary = wants_auxiliary(genotype.params, where)
    if auxiliary and head in ("classify", "none"):
        raise GenotypeError(f"{where}: an auxiliary head segments, and the head {head} does not")
    return Stages(strides, widths, dilated, head, bias, auxiliary)


def _whole_numbers(where: str, params: Params, name: str) -> tuple[int, ...]:
    value = params.get(name)
    if not isinstance(value, tuple) or not value or not all(type(item) is int and item > 0 for item in value):
        raise GenotypeError(f"{where}: {name} must be a list of positive whole numbers, not {value!r}")
    return tuple(int(str(item)) for item in value)


SKELETONS.register("backbone", backbone)
