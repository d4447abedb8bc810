"""From an engine's kernels back to the op graph: kernel → ONNX node or tensor → node of the op graph.

ONNX files that hwnas exported say for each of their nodes which node of the op graph it comes from. An op that an
engine fused into a kernel of another node has no time of its own; it is told whose kernel holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.exporters.onnx_export import NODE_KEY
from hwnas.exporters.profiler import Kernel

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from hwnas.ir.opgraph import OpGraph


@dataclass(frozen=True)
class Origins:
    """Which node each name comes from, and which nodes each node reads."""

    of: Mapping[str, str]
    """ONNX node, tensor or weight → node."""
    reads: Mapping[str, tuple[str, ...]]
    """Node → the nodes whose values it reads."""
    kinds: Mapping[str, tuple[str, ...]]
    """Node → the ONNX operations that it consists of; in the file's order, which is that of execution."""

    def find(self, names: Iterable[str]) -> list[str]:
        """The nodes that ``names`` come from, in that order, each once; names that are not known are left out."""
        return list(dict.fromkeys(self.of[name] for name in names if name in self.of))


@dataclass(frozen=True)
class Attribution:
    """Every kernel under its node, or under none."""

    kernels: Mapping[str, tuple[Kernel, ...]]
    """Node → its kernels."""
    unattributed: tuple[Kernel, ...]
    inside: Mapping[str, str]
    """A node without a kernel → the node whose kernel was fused with it."""


def origins_of_onnx(model: ModelProto) -> Origins:
    """Origins by the notes of ``export_network``; without any, each ONNX node is a node of its own.

    A node that was added to an exported file, as quantizers do, goes with what it reads, else with what reads it.
    """
    nodes = list(model.graph.node)
    if any(map(_noted, nodes)):
        made_by = {index: _noted(node) for index, node in enumerate(nodes)}
        _complete(nodes, made_by)
    else:
        made_by = {index: node.name or f"{node.op_type}_{index}" for index, node in enumerate(nodes)}
    of: dict[str, str] = {}
    reads: dict[str, dict[str, None]] = {}
    kinds: dict[str, list[str]] = {}
    for index, node in enumerate(nodes):
        origin = made_by[index]
        if not origin:
            continue
        kinds.setdefault(origin, []).append(node.op_type)
        of.update((name, origin) for name in (node.name, *node.output) if name)
        sources = reads.setdefault(origin, {})
        sources.update((of[name], None) for name in node.input if name in of and of[name] != origin)
    return Origins(
        {**of, **_weights(model, of)},
        {name: tuple(sources) for name, sources in reads.items()},
        {name: tuple(operations) for name, operations in kinds.items()},
    )


def origins_of_graph(graph: OpGraph) -> Origins:
    """Origins where an engine runs the nodes themselves, under their own names."""
    nodes = {node.name: node for node in graph.nodes}
    return Origins(
        {name: name for name in nodes},
        {name: tuple(source for source in node.inputs if source in nodes) for name, node in nodes.items()},
        {name: (node.op,) for name, node in nodes.items()},
    )


def _complete(nodes: Sequence[NodeProto], made_by: dict[int, str]) -> None:
    """Give nodes without a note an origin: that of a tensor they read, else of one that they make."""
    of_tensor: dict[str, str] = {}
    for index, node in enumerate(nodes):
        made_by[index] = made_by[index] or next((of_tensor[name] for name in node.input if of_tensor.get(name)), "")
        of_tensor.update((name, made_by[index]) for name in node.output)
    read_by: dict[str, str] = {}
    for index, node in reversed(list(enumerate(nodes))):
        made_by[index] = made_by[index] or next((read_by[name] for name in node.output if read_by.get(name)), "")
        read_by.update((name, made_by[index]) for name in node.input)


def _weights(model: ModelProto, of: Mapping[str, str]) -> dict[str, str]:
    """Weight → node, for weights that one node alone reads."""
    weights = {weight.name for weight in model.graph.initializer}
    readers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in weights.intersection(node.input):
            readers.setdefault(name, set()).add(of.get(node.output[0], ""))
    return {name: next(iter(nodes)) for name, nodes in readers.items() if len(nodes) == 1 and "" not in nodes}


def attribute(kernels: Sequence[Kernel], origins: Origins) -> Attribution:
    """Put every kernel under the first node that it is known to be made of, or to serve."""
    owned: dict[str, list[Kernel]] = {}
    inside: dict[str, str] = {}
    strangers = []
    for kernel in kernels:
        found = origins.find(kernel.made_of) or origins.find(kernel.beside)[:1]
        if not found:
            strangers.append(kernel)
            continue
        owned.setdefault(found[0], []).append(kernel)
        inside.update((other, found[0]) for other in found[1:])
    place = {name: index for index, name in enumerate(origins.kinds)}
    for name in origins.kinds:  # in order of execution: what a node reads is settled before it
        holders = [name if name in owned else inside.get(name, "") for name in origins.reads.get(name, ())]
        if name not in owned and name not in inside and any(holders):
            inside[name] = max(filter(None, holders), key=place.__getitem__)
    return Attribution(
        {name: tuple(owned[name]) for name in sorted(owned, key=place.__getitem__)},
        tuple(strangers),
        {name: holder for name, holder in inside.items() if name not in owned},
    )


def _noted(node: NodeProto) -> str:
    return next((str(note.value) for note in node.metadata_props if note.key == NODE_KEY), "")
