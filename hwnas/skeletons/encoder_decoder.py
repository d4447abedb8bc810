"""Encoder–decoder: a strided stem, stages of one cell each that halve the resolution, and a decoder cell.

Parameters: ``stem_width`` (channels at stride 2), ``widths`` (channels of each stage), ``head_width`` (channels of
everything in the decoder), ``dilated_stages`` (how many of the last stages dilate instead of stride: each doubles the
dilation), ``auxiliary`` (false: whether there is a head behind the last stage but one that only training looks at).
Cells: ``stage1`` … ``stageN`` with one input, and ``decoder`` whose inputs are called ``stage1`` …
``stageN`` as far as it uses them.
"""

from __future__ import annotations

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Params, Shape
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.heads import add_auxiliary, wants_auxiliary
from hwnas.skeletons.placing import full_size_logits, place_cell


def encoder_decoder(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; raises GenotypeError for a missing cell, or a parameter of the wrong type or length."""
    stem_width, widths, head_width, dilated, auxiliary = _parameters(genotype.params)
    builder = GraphBuilder(input_shape)
    features = {"stem": builder.add("stem/conv", "conv_3x3", ["image"], {"channels": stem_width, "stride": 2})}
    source, dilation = features["stem"], 1
    for index, width in enumerate(widths, start=1):
        role = f"stage{index}"
        if role not in genotype.cells:
            raise GenotypeError(f"genotype {genotype.name}: skeleton encoder_decoder needs a cell {role!r}")
        if index > len(widths) - dilated:
            stride, dilation = 1, dilation * 2
        else:
            stride = 2
        cell = genotype.cells[role]
        source = place_cell(
            builder, cell, role, {cell.inputs[0]: source}, stride=stride, channels=width, dilation=dilation
        )
        features[role] = source
    decoder = genotype.cells.get("decoder")
    if decoder is None:
        raise GenotypeError(f"genotype {genotype.name}: skeleton encoder_decoder needs a cell 'decoder'")
    missing = [name for name in decoder.inputs if name not in features]
    if missing:
        raise GenotypeError(
            f"genotype {genotype.name}: the decoder takes {missing[0]!r}, which is not a stage",
            f"its inputs can be: {', '.join(features)}",
        )
    taken = {name: features[name] for name in decoder.inputs}
    head = place_cell(builder, decoder, "decoder", taken, channels=head_width)
    extra = [add_auxiliary(builder, list(features.values())[-2], classes)] if auxiliary else []
    return builder.finish(full_size_logits(builder, head, classes), extra)


def _parameters(params: Params) -> tuple[int, tuple[int, ...], int, int, bool]:
    def integer(name: str, minimum: int) -> int:
        value = params.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise GenotypeError(f"skeleton encoder_decoder: {name} must be an integer ≥ {minimum}, not {value!r}")
        return value

    widths = params.get("widths")
    if not isinstance(widths, tuple) or not widths or not all(type(width) is int and width > 0 for width in widths):
        raise GenotypeError(f"skeleton encoder_decoder: widths must be a list of positive integers, not {widths!r}")
    unknown = sorted(set(params) - {"stem_width", "widths", "head_width", "dilated_stages", "auxiliary"})
    if unknown:
        raise GenotypeError(f"skeleton encoder_decoder has no parameter {unknown[0]!r}")
    dilated = integer("dilated_stages", 0)
    if dilated >= len(widths):
        raise GenotypeError(f"skeleton encoder_decoder: {dilated} of {len(widths)} stages cannot be dilated")
    auxiliary = wants_auxiliary(params, "skeleton encoder_decoder")
    given = tuple(int(str(width)) for width in widths)
    return integer("stem_width", 1), given, integer("head_width", 1), dilated, auxiliary


SKELETONS.register("encoder_decoder", encoder_decoder)
