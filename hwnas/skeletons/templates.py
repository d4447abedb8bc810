"""Nekrasov et al.'s templates over the first layers of MobileNetV2 (arXiv 1904.02365).

The features of the encoder are the pool's first members. Each of ``structure``'s layers (i, j, t, r, s) takes members i
and j and applies template t to them r + 1 times, with a stride of 2^s; each time but the first, the template takes its
second input of the time before as the first, and its output as the second. The result joins the pool; what none has
taken is concatenated and classified as in :mod:`hwnas.skeletons.auxcells`.

Cells ``template0`` …: inputs ``a`` and ``b``, a node ``first`` on a and ``second`` on b, and ``out`` which joins them.
Ops are fitted to widths and sizes as in the authors' code: a stride multiplies the channels; max pooling follows a 1x1
convolution; global pooling keeps the size; a skip repeats its channels and keeps the size. Before joining, both are
projected to the wider one's channels and resized to the smaller map, in the second half of the layers to the larger.
``add`` sums them with learned weights for each channel; behind ``concat`` come BatchNorm, ReLU and a 1x1 convolution.

Parameters: ``layers`` of the encoder that are taken, ``structure``, ``width`` before the classifier (64), ``repeats``
of the separable convolutions (2), each of which strides.
"""

from __future__ import annotations

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.skeletons.auxcells import (
    checked_params,
    classifier,
    collected,
    encoder_layers,
    rows_of_numbers,
    whole_param,
)
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.mobilenet_v2 import mobilenet_v2
from hwnas.skeletons.placing import resized

DEFAULTS: dict[str, Value | None] = {"layers": None, "structure": None, "width": 64, "repeats": 2}
OPS_OF_TEMPLATES = ("dwpw_conv_3x3", "dwpw_conv_5x5", "global_avg_pool", "max_pool_3x3", "skip_connect")


def templates(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; raises GenotypeError for a missing cell, or a parameter that does not fit."""
    params = checked_params(genotype, "templates", DEFAULTS)
    layers, repeats = encoder_layers(genotype, params["layers"]), whole_param(genotype, params, "repeats")
    structure = _structure(genotype, params["structure"], len(layers))
    cells = {index: _template(genotype, index) for _, _, index, _, _ in structure}
    builder = GraphBuilder(input_shape)
    pool = mobilenet_v2(builder, layers)
    loose: list[int] = []
    for place, (first, second, index, times, power) in enumerate(structure):
        loose = [member for member in loose if member not in (first, second)] + [len(pool)]
        a, b = pool[first], pool[second]
        for time in range(times + 1):
            placed = _Placed(builder, cells[index], f"decoder/layer{place}/time{time}", repeats)
            grow = time == 0
            a, b = (
                b,
                placed.join(
                    placed.op("first", a, 2**power, grow=grow),
                    placed.op("second", b, 2**power, grow=grow),
                    larger=place >= len(structure) // 2,
                ),
            )
        pool.append(b)
    width = whole_param(genotype, params, "width")
    joined = collected(builder, [pool[member] for member in loose])
    return builder.finish(classifier(builder, joined, width, classes))


class _Placed:
    """One use of a template under the name ``prefix``."""

    def __init__(self, builder: GraphBuilder, cell: Cell, prefix: str, repeats: int) -> None:
        self.builder, self.cell, self.prefix, self.repeats = builder, cell, prefix, repeats

    def op(self, which: str, source: str, stride: int, *, grow: bool) -> str:
        """The op ``which``; with ``grow`` a stride multiplies the channels."""
        node, name, channels = self.cell.node(which), f"{self.prefix}/{which}", self.builder.shape(source)[0]
        factor = stride if grow else 1
        width: dict[str, Value] = {"channels": channels * factor}
        if node.op == "skip_connect":
            return self.builder.add(name, "concat", [source] * factor) if factor > 1 else source
        if node.op == "global_avg_pool":
            mean = self.builder.add(f"{name}/mean", "global_avg_pool", [source])
            mean = self.builder.add(f"{name}/conv", "conv_1x1", [mean], width)
            return self.builder.add(name, "resize_like", [mean, source])
        if node.op == "max_pool_3x3":
            projected = self.builder.add(f"{name}/conv", "conv_1x1", [source], {**width, "activation": "none"})
            return self.builder.add(name, "max_pool_3x3", [projected], {"stride": stride})
        return self.builder.add(name, node.op, [source], {**node.params, **width, "stride": stride} | self._repeats)

    @property
    def _repeats(self) -> dict[str, Value]:
        return {"repeats": self.repeats}

    def join(self, a: str, b: str, *, larger: bool) -> str:
        """Both projected to the wider one's channels, resized to the larger or the smaller map, and joined."""
        channels = max(self.builder.shape(source)[0] for source in (a, b))
        choose = max if larger else min
        height, width = choose(self.builder.shape(source)[1:] for source in (a, b))
        fitted = []
        for slot, source in enumerate((a, b)):
            if self.builder.shape(source)[0] != channels:
                source = self.builder.add(f"{self.prefix}/project{slot}", "conv_1x1", [source], {"channels": channels})
            fitted.append(resized(self.builder, f"{self.prefix}/resize{slot}", source, (height, width)))
        name = f"{self.prefix}/out"
        if self.cell.node("out").op == "add":
            scaled = [self.builder.add(f"{name}/scale{i}", "channel_scale", [part]) for i, part in enumerate(fitted)]
            return self.builder.add(name, "add", scaled)
        joined = self.builder.add(f"{name}/concat", "concat", fitted)
        joined = self.builder.add(f"{name}/norm", "batch_norm", [joined])
        return self.builder.add(name, "bare_conv_1x1", [joined], {"channels": channels, "bias": False})


def _template(genotype: Genotype, index: int) -> Cell:
    cell = genotype.cells.get(f"template{index}")
    if cell is None or len(cell.inputs) != 2 or {node.name for node in cell.nodes} != {"first", "second", "out"}:
        raise GenotypeError(
            f"genotype {genotype.name}: skeleton templates needs a cell 'template{index}'",
            "with two inputs and the nodes first, second and out",
        )
    ops = (cell.node("first").op, cell.node("second").op)
    if not set(ops) <= set(OPS_OF_TEMPLATES) or cell.node("out").op not in ("add", "concat"):
        raise GenotypeError(
            f"genotype {genotype.name}: template{index} has the ops {', '.join(ops)}, {cell.node('out').op}",
            f"known are {', '.join(OPS_OF_TEMPLATES)}, joined by add or concat",
        )
    return cell


def _structure(genotype: Genotype, value: Value, members: int) -> list[tuple[int, ...]]:
    rows = rows_of_numbers(genotype, "structure", value, 5)
    for place, (first, second, _, times, power) in enumerate(rows):
        if max(first, second) >= members + place:
            raise GenotypeError(
                f"genotype {genotype.name}: layer {place} takes {first} and {second} "
                f"of a pool that has {members + place} members then"
            )
        if power > 1 or times > 7:
            raise GenotypeError(f"genotype {genotype.name}: layer {place} repeats {times} times with stride 2^{power}")
    return rows


SKELETONS.register("templates", templates)
