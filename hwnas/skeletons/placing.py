"""Placing a cell into an op graph: what every skeleton does with the cells it is given.

A cell's nodes name ops and leave out what the skeleton decides: ``channels``, ``stride`` (ops next to the cell's input
reduce, as in NASNet), ``dilation``, ``classes``. Whatever a node does give is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hwnas.ops.spec import OPS
from hwnas.shapes import Value

if TYPE_CHECKING:
    from hwnas.ir.cell import Cell
    from hwnas.ir.opgraph import GraphBuilder

MERGES = frozenset({"add", "concat", "mul"})


def place_cell(
    builder: GraphBuilder,
    cell: Cell,
    prefix: str,
    inputs: Mapping[str, str],
    *,
    stride: int = 1,
    **given: Value,
) -> str:
    """Add every node of ``cell`` under ``prefix``; returns the name of the node that gives the cell's output.

    ``inputs`` maps the cell's inputs to nodes of the builder. ``given`` completes parameters that nodes leave out,
    where their op has them; ``stride`` goes to the ops next to the cell's inputs. A merge whose inputs differ in height
    or width resizes the others bilinearly to the largest; a resize with a second input takes its size from that. Open
    decisions of nodes stay open.
    """
    names = dict(inputs)
    for node in cell.nodes:
        spec = OPS.get(node.op)
        params = {key: value for key, value in given.items() if key in spec.defaults} | dict(node.params)
        if (
            "stride" in spec.defaults
            and "stride" not in params
            and any(source in cell.inputs for source in node.inputs)
        ):
            params["stride"] = stride
        name = f"{prefix}/{node.name}" if prefix else node.name
        sources = [names[source] for source in node.inputs]
        if node.op in MERGES:
            sources = _equal_sizes(builder, name, sources)
        elif spec.family == "resize" and spec.arity == 1 and len(sources) == 2:
            params["height"], params["width"] = builder.shape(sources.pop())[1:]
        names[node.name] = builder.add(name, node.op, sources, params, gates=node.gates, open=node.open)
    return names[cell.output]


def _equal_sizes(builder: GraphBuilder, name: str, sources: list[str]) -> list[str]:
    height, width = max(builder.shape(source)[1:] for source in sources)
    return [resized(builder, f"{name}/resize{slot}", source, (height, width)) for slot, source in enumerate(sources)]


def resized(builder: GraphBuilder, name: str, source: str, size_hw: tuple[int, int]) -> str:
    """``source`` resized bilinearly to (height, width) by a node ``name``, or itself where it has that size."""
    if builder.shape(source)[1:] == size_hw:
        return source
    return builder.add(name, "resize_bilinear", [source], {"height": size_hw[0], "width": size_hw[1]})


def full_size_logits(builder: GraphBuilder, source: str, classes: int) -> str:
    """The classifier on ``source`` and its logits upsampled to the size of the input image."""
    return full_size(builder, builder.add("classifier", "seg_head", [source], {"classes": classes}))


def full_size(builder: GraphBuilder, logits: str) -> str:
    """``logits`` upsampled to the size of the input image; a node called ``upsample`` even where the size is there."""
    _, height, width = builder.shape(builder.input)
    return builder.add("upsample", "resize_bilinear", [logits], {"height": height, "width": width})
