"""What a network costs apart from time: parameters, multiplications, memory. Exact, from the op graph; no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.ops.spec import OPS


@dataclass(frozen=True)
class Cost:
    """Of one image.

    ``params`` are trainable parameters; ``macs`` are the multiplications of convolutions and linear layers;
    ``peak_activation_bytes`` is the memory of the most demanding moment, weights not included; ``weight_bytes`` are the
    parameters'.
    """

    params: int
    macs: int
    peak_activation_bytes: int
    weight_bytes: int


def cost_of(graph: OpGraph, *, bytes_per_value: int = 4, auxiliary: bool = False) -> Cost:
    """Cost of ``graph``; ``bytes_per_value`` is 4 for float32, 2 for float16, 1 for int8.

    What only auxiliary outputs need counts with ``auxiliary=True`` alone. Nodes that reach no output do count: they are
    part of the network until ``remove_dead_branches``.
    """
    graph = graph if auxiliary else without_auxiliary(graph)
    params, macs = 0, 0
    for node in graph.nodes:
        spec, shapes = OPS.get(node.op), graph.input_shapes(node.name)
        params += spec.weights(shapes, node.params)
        macs += spec.macs(shapes, node.params)
    return Cost(params, macs, peak_activation_values(graph) * bytes_per_value, params * bytes_per_value)


def peak_activation_values(graph: OpGraph) -> int:
    """The most values alive at once when the nodes run in the graph's order, one by one.

    While a node runs, its inputs, its output and whatever a later node (or the caller) still reads are alive. Values
    inside an op, and an engine's copies for its own layouts, are not counted.
    """
    order = graph.order
    reads = {name: tuple(graph.graph.predecessors(name)) for name in order}
    last_reader = {source: name for name in order for source in reads[name]}
    size = {name: math.prod(graph.shape(name)) for name in (graph.input, *order)}
    alive = size[graph.input]
    peak = alive
    for name in order:
        alive += size[name]
        peak = max(peak, alive)
        spent = {source for source in reads[name] if last_reader[source] == name}
        if name not in last_reader:
            spent.add(name)
        alive -= sum(size[value] for value in spent - {graph.output, *graph.auxiliary})
    return peak
