"""Placing the cells of NASNet and its descendants: two inputs, a normal and a reduction cell, ops with states added.

The skeletons of this family agree in how a cell is wired and differ in what becomes of an edge without weights where
the shape changes; a :class:`Manner` says which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder
from hwnas.ops.spec import OPS
from hwnas.shapes import Value
from hwnas.skeletons.placing import MERGES

INPUTS = ("c_{k-2}", "c_{k-1}")
"""The inputs of a cell: the outputs of the cells before the last and of the last one."""
ROLES = ("normal", "reduce")


@dataclass(frozen=True)
class Manner:
    """What a network's code makes of edges.

    ``skip``: what a skip connection is where it strides or the width changes; ``"first"`` and ``"none"`` are factorized
    reductions that begin with a ReLU or have none, ``"pointwise"`` a ReLU and a 1x1 convolution with the stride.
    ``pool_norm``: a BatchNorm follows every pooling. ``widen_first``: which half of a ``sep_conv`` changes the width.
    """

    skip: Literal["first", "none", "pointwise"] = "first"
    pool_norm: bool = False
    widen_first: bool = False


def cells_of(genotype: Genotype, skeleton: str) -> tuple[Cell, Cell]:
    """The normal and the reduction cell; GenotypeError for one that is missing or takes another number of inputs."""
    for role in ROLES:
        cell = genotype.cells.get(role)
        if cell is None or len(cell.inputs) != 2:
            raise GenotypeError(f"genotype {genotype.name}: skeleton {skeleton} needs a cell {role!r} with two inputs")
    return genotype.cells["normal"], genotype.cells["reduce"]


def place_searched_cell(
    builder: GraphBuilder,
    cell: Cell,
    prefix: str,
    inputs: Sequence[str],
    *,
    channels: int,
    stride: int,
    manner: Manner,
) -> str:
    """Add ``cell`` under ``prefix`` and return the node of its output.

    ``inputs`` are the nodes of its two inputs, already of equal size. Ops next to them take ``stride``; every op works
    on ``channels``. What a concatenation joins is brought to ``channels`` and to the size of the smallest. Gates
    stay; a gated sum inside the cell must be of equal shapes.
    """
    names = dict(zip(cell.inputs, inputs, strict=True))
    outer = set(cell.inputs)
    for node in cell.nodes:
        name = f"{prefix}/{node.name}"
        sources = [names[source] for source in node.inputs]
        if node.op in MERGES:
            if node.gates and outer.issuperset(node.inputs):
                outer.add(node.name)  # it is one of the cell's inputs, not yet decided which
            ends = node.name == cell.output or (node.op != "concat" and not node.gates)
            names[node.name] = _merge(builder, name, node, sources, channels if ends else None, manner)
        else:
            own = stride if node.inputs[0] in outer else 1
            names[node.name] = _edge(builder, name, node, sources, channels, own, manner)
    return names[cell.output]


def _edge(
    builder: GraphBuilder, name: str, node: Node, sources: list[str], channels: int, stride: int, manner: Manner
) -> str:
    spec = OPS.get(node.op)
    changes = builder.shape(sources[0])[0] != channels
    if node.op == "skip_connect" and (stride > 1 or changes):
        return _changed(builder, name, sources[0], channels, stride, manner)
    given: dict[str, Value] = {"channels": channels, "stride": stride}
    if manner.widen_first:
        given["widen_first"] = True
    params = {key: value for key, value in given.items() if key in spec.defaults} | dict(node.params)
    added = builder.add(name, node.op, sources, params)
    if spec.family == "pooling" and manner.pool_norm:
        added = builder.add(f"{name}/norm", "batch_norm", [added], {"activation": "none"})
    if changes and "channels" not in spec.defaults and node.op != "none":
        added = builder.add(f"{name}/project", "conv_1x1", [added], {"channels": channels, "activation": "none"})
    return added


def _changed(builder: GraphBuilder, name: str, source: str, channels: int, stride: int, manner: Manner) -> str:
    """A skip connection that halves the size or changes the width."""
    if manner.skip == "pointwise" or stride == 1:
        return builder.add(name, "nor_conv_1x1", [source], {"channels": channels, "stride": stride})
    return builder.add(name, "factorized_reduce", [source], {"channels": channels, "relu": manner.skip})


def _merge(
    builder: GraphBuilder, name: str, node: Node, sources: list[str], channels: int | None, manner: Manner
) -> str:
    """``sources`` joined at the size of the smallest; with ``channels``, each brought to that width before."""
    height, width = min(builder.shape(source)[1:] for source in sources)
    joined = []
    for slot, source in enumerate(sources):
        found, *size = builder.shape(source)
        wanted = channels or found
        if tuple(size) != (height, width):
            given: dict[str, Value] = {"channels": wanted, "relu": "none"}
            source = builder.add(f"{name}/reduce{slot}", "factorized_reduce", [source], given)
        elif found != wanted:
            given = {"channels": wanted, "activation": "none"}
            source = builder.add(f"{name}/project{slot}", "conv_1x1", [source], given)
        joined.append(source)
    return builder.add(name, node.op, joined, gates=node.gates)


def project(builder: GraphBuilder, name: str, source: str, channels: int) -> str:
    """ReLU, 1x1 convolution, BatchNorm: what brings a cell's input to the cell's width."""
    return builder.add(name, "nor_conv_1x1", [source], {"channels": channels})


def reduce(builder: GraphBuilder, name: str, source: str, channels: int) -> str:
    """ReLU, factorized reduction, BatchNorm: what brings an input of twice the size to the cell's."""
    return builder.add(name, "factorized_reduce", [source], {"channels": channels, "relu": "first"})


def classify(builder: GraphBuilder, source: str, classes: int, *, bias: bool = True) -> str:
    """Mean of the map and one logit a class, (classes, 1, 1)."""
    pooled = builder.add("pool", "global_avg_pool", [source])
    if bias:
        return builder.add("classifier", "seg_head", [pooled], {"classes": classes})
    return builder.add("classifier", "bare_conv_1x1", [pooled], {"channels": classes, "bias": False})
