"""Fingerprints: the same for two graphs exactly if they are the same architecture, whatever their nodes are called.

What counts: ops, their parameters, shapes (in op graphs), the order of an op's inputs unless the op is commutative,
which node is which input, which is the output and which an auxiliary one, and whether a value is shared or computed
twice (two nodes have weights of their own). Nodes that do not reach the output count too: ``simplify`` the op graph
first to ignore them.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict

import networkx as nx

from hwnas.ir.canonical import certificate
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS
from hwnas.shapes import Params, Value


def fingerprint(what: Cell | OpGraph | Genotype) -> str:
    """32 hex digits.

    Names of nodes and of the genotype do not enter. Of a genotype, the roles of cells and the names of their inputs do:
    skeletons connect by them. A cell by itself is the same whatever its inputs are called; their order counts.
    """
    if isinstance(what, Genotype):
        cells = {role: [cell.inputs, fingerprint(cell)] for role, cell in what.cells.items()}
        facts = json.dumps(["genotype", what.skeleton, _plain(what.params), cells], sort_keys=True)
        return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()
    if isinstance(what, Cell):
        return _of_graph(what.graph, what.inputs, (what.output,))
    return _of_graph(what.graph, (what.input,), (what.output, *what.auxiliary))


def _of_graph(graph: nx.MultiDiGraph, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> str:
    labels, edges = labelled(graph, inputs, outputs)
    return certificate(labels, edges)


def labelled(
    graph: nx.MultiDiGraph, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> tuple[list[str], dict[tuple[int, int], str]]:
    """(a text for each node, in the graph's order, a text for each two nodes that are joined): all that counts."""
    index = {name: i for i, name in enumerate(graph)}
    labels: list[str] = []
    commutative: list[bool] = []
    for name, data in graph.nodes(data=True):
        op = data.get("op")
        role = (f"input{inputs.index(name)}" if op is None else "") + "!" * (name == outputs[0])
        role += "".join(f"?{i}" for i, output in enumerate(outputs[1:]) if name == output)
        facts = [op, role, _plain(data.get("params", {})), data.get("shape")]
        labels.append(json.dumps([*facts, repr(data["open"])] if "open" in data else facts))
        commutative.append(op in OPS and OPS.get(op).commutative)
    slots: dict[tuple[int, int], list[object]] = defaultdict(list)
    for source, target, edge in graph.edges(data=True):
        slot = 0 if commutative[index[target]] else edge["slot"]
        slots[index[source], index[target]].append((slot, str(edge["gate"])) if "gate" in edge else slot)
    return labels, {ends: repr(sorted(used, key=_place)) for ends, used in slots.items()}


def _place(slot: object) -> tuple[object, str]:
    return slot if isinstance(slot, tuple) else (slot, "")


def _plain(params: Params) -> dict[str, object]:
    return {name: _number(value) for name, value in sorted(params.items())}


def _number(value: Value) -> object:
    """``value`` with 1.0 written as 1, so that equal parameters give equal fingerprints."""
    if isinstance(value, tuple):
        return [_number(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
