"""Which node of a network an engine or the exporter cannot do, and what could stand in its place."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import ArtifactError
from hwnas.ops.spec import OPS, OpSpec

if TYPE_CHECKING:
    from onnx import NodeProto

    from hwnas.ir.opgraph import OpGraph

OFFERED = 2
"""Ops that a hint names."""


def instead_of(op: str) -> str:
    """A hint that names ops for the place of ``op``: those that take its inputs and parameters, of its family first."""
    spec = OPS.get(op)
    others = [OPS.get(name) for name in OPS.names() if name != op]
    fitting = [other for other in others if _takes_its_place(other, spec)]
    fitting.sort(key=lambda other: (other.family != spec.family, -SequenceMatcher(None, op, other.name).ratio()))
    near = " or ".join(other.name for other in fitting[:OFFERED])
    return f"use another op in its place, such as {near}" if near else "use another op in its place"


def _takes_its_place(other: OpSpec, spec: OpSpec) -> bool:
    required = {name for name, value in other.defaults.items() if value is None}
    return other.arity == spec.arity and required <= set(spec.defaults)


def blamed(error: ArtifactError, onnx_path: Path, graph: OpGraph) -> ArtifactError:
    """The error of building an engine from an ONNX file, told of the node of the op graph that it is about.

    That is the one whose ONNX node the engine names, or the first one that has a kind of ONNX node that it names.
    Where it names neither, ``error`` is returned.
    """
    from onnx import load

    origin = _origin_in(error.message.replace(str(onnx_path), ""), load(onnx_path).graph.node)
    if not origin:
        return error
    if origin not in graph.order:
        return ArtifactError(f"{error.message} (at the {origin} inside)", error.hint)
    op = graph.node(origin).op
    return ArtifactError(f"{error.message} (node {origin!r}, {op})", instead_of(op))


def _origin_in(said: str, nodes: list[NodeProto]) -> str:
    from hwnas.exporters.onnx_export import NODE_KEY

    named = [node for node in nodes if node.name and node.name in said]
    named.sort(key=lambda node: -len(node.name))  # a/Conv_1 is in the name of a/Conv_12
    about = named or [node for node in nodes if re.search(rf"\b{re.escape(node.op_type)}\b", said)]
    return next((note.value for node in about[:1] for note in node.metadata_props if note.key == NODE_KEY), "")
