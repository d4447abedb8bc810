"""Whether an op graph is well formed: what every pass must leave true, and what its readers rely on."""

from __future__ import annotations

import networkx as nx

from hwnas.errors import GenotypeError
from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS
from hwnas.shapes import format_shape


def verify(graph: OpGraph, *, dead_nodes: bool = True) -> None:
    """Raise GenotypeError naming the first node at fault.

    Checked: the input and the output exist, the graph is acyclic, and every node's op is known, has as many inputs as
    it takes in slots 0, 1, …, has complete parameters, and the shape that its op infers from its inputs. With
    ``dead_nodes=False`` every node must also reach the output or an auxiliary one, as it does after
    ``remove_dead_branches``.
    """
    auxiliary = [(name, "auxiliary output") for name in graph.auxiliary]
    for name, what in ((graph.input, "input"), (graph.output, "output"), *auxiliary):
        if name not in graph.graph:
            raise GenotypeError(f"the {what} {name!r} of the op graph is not one of its nodes")
    if graph.graph.in_degree(graph.input):
        raise GenotypeError(f"the input {graph.input!r} of the op graph takes an input itself")
    if not nx.is_directed_acyclic_graph(graph.graph):
        cycle = " → ".join(edge[0] for edge in nx.find_cycle(graph.graph))
        raise GenotypeError(f"the nodes {cycle} form a cycle")
    for name in graph.order:
        _verify_node(graph, name)
    if not dead_nodes:
        alive = nx.ancestors(graph.graph, graph.output) | {graph.input, graph.output} | graph.only_auxiliary
        dead = sorted(set(graph.graph) - alive)
        if dead:
            raise GenotypeError(f"node {dead[0]!r} does not reach the output {graph.output!r}")


def _verify_node(graph: OpGraph, name: str) -> None:
    data = graph.graph.nodes[name]
    missing = [key for key in ("op", "params", "shape") if key not in data]
    if missing:
        raise GenotypeError(f"node {name!r} has no {missing[0]}")
    slots = sorted(slot for _, _, slot in graph.graph.in_edges(name, data="slot"))
    if slots != list(range(len(slots))):
        raise GenotypeError(f"node {name!r} has inputs in the slots {slots}, not in 0 to {len(slots) - 1}")
    try:
        spec = OPS.get(data["op"])
        if len(slots) != spec.arity and not (spec.arity is None and slots):
            wanted = "one or more inputs" if spec.arity is None else f"{spec.arity} input(s)"
            raise GenotypeError(f"op {spec.name} takes {wanted}, not {len(slots)}")
        incomplete = set(spec.complete(data["params"])) - set(data["params"])
        if incomplete:
            raise GenotypeError(f"its parameter {min(incomplete)!r} is not given")
        shape = spec.infer_shape(graph.input_shapes(name), data["params"])
    except ValueError as error:
        raise GenotypeError(
            f"node {name!r} ({data['op']}): {getattr(error, 'message', error)}", getattr(error, "hint", "")
        ) from error
    if shape != data["shape"]:
        raise GenotypeError(
            f"node {name!r} ({data['op']}) says its shape is {format_shape(data['shape'])}, "
            f"but on its inputs it is {format_shape(shape)}"
        )
