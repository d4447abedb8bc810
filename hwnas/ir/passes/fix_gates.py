"""Close the open decisions of a supergraph: what is left is an ordinary op graph."""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.errors import GenotypeError
from hwnas.ir.gates import holds
from hwnas.ir.opgraph import GATED_OPS, GraphBuilder, OpGraph
from hwnas.shapes import Value


def fix_gates(graph: OpGraph, decisions: Mapping[str, Value]) -> OpGraph:
    """``graph`` under ``decisions`` (choice → option): true wires stay, false ones go, and what then reaches no output.

    ``add`` and ``concat`` lose inputs that are not there (and remain as identities where one is left); anything else
    that lacks an input is not there itself. Open parameters get their values. Surviving nodes keep their names; shapes
    are inferred anew. GenotypeError where nothing is left of an output.
    """
    slots = live_slots(graph, decisions)
    for output in (graph.output, *graph.auxiliary):
        if output not in slots:
            raise GenotypeError(f"the decisions leave nothing of the supergraph's output {output!r}")
    builder = GraphBuilder(graph.shape(graph.input), input_name=graph.input)
    for node in graph.nodes:
        if node.name in slots:
            inputs = [node.inputs[slot] for slot in slots[node.name]]
            chosen = {name: select.under(decisions) for name, select in node.open.items()}
            builder.add(node.name, node.op, inputs, {**node.params, **chosen})
    return builder.finish(graph.output, graph.auxiliary)


def live_slots(graph: OpGraph, decisions: Mapping[str, Value]) -> dict[str, tuple[int, ...]]:
    """Node name → the slots that still have an input under ``decisions``, for the nodes that then reach an output."""
    there: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        kept = tuple(
            slot
            for slot, source in enumerate(node.inputs)
            if (source in there or source == graph.input)
            and (slot not in node.gates or holds(node.gates[slot], decisions))
        )
        if kept if node.op in GATED_OPS else len(kept) == len(node.inputs):
            there[node.name] = kept
    needed = {graph.output, *graph.auxiliary}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs[slot] for slot in there.get(node.name, ()))
    return {name: slots for name, slots in there.items() if name in needed}
