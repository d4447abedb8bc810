"""The same graph with fewer (or more) channels: for proxies that are trained in place of a network."""

from __future__ import annotations

from hwnas.errors import GenotypeError
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ops.spec import OPS
from hwnas.shapes import Value

WIDTHS = ("channels", "hidden")
"""Parameters of ops that are numbers of channels."""


def scale_channels(graph: OpGraph, factor: float) -> OpGraph:
    """``graph`` with every width multiplied by ``factor`` and rounded, at least 1; logits keep their classes.

    Names, sizes and everything else stay. Where rounding breaks what must be equal (the inputs of a sum), or an op
    cannot be had so narrow, a GenotypeError names the node; factors like 1/2 and 1/4 of even widths fit.
    """
    if not factor > 0:
        raise GenotypeError(f"channels cannot be scaled by {factor:g}", "give a factor above 0, like 0.5")
    logits = _logits(graph)
    builder = GraphBuilder(graph.shape(graph.input), input_name=graph.input)
    for node in graph.nodes:
        params = dict(node.params)
        if node.name not in logits:
            _scale(params, factor)
        builder.add(node.name, node.op, node.inputs, params)
    return builder.finish(graph.output, graph.auxiliary)


def _scale(params: dict[str, Value], factor: float) -> None:
    before = params.get("channels")
    for name in WIDTHS:
        value = params.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            params[name] = max(1, round(value * factor))
    if before is not None and params.get("groups") == before:  # depthwise stays depthwise
        params["groups"] = params["channels"]


def _logits(graph: OpGraph) -> set[str]:
    """The nodes that make the outputs' channels: behind them stand only ops that work channel by channel."""
    found: set[str] = set()
    queue = [graph.output, *graph.auxiliary]
    while queue:
        node: Node | None = None if (name := queue.pop()) == graph.input or name in found else graph.node(name)
        if node is None:
            continue
        found.add(name)
        if OPS.get(node.op).per_channel:
            queue += node.inputs
    return found
