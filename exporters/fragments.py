"""A whole network's ONNX put together from the exported kernels of its ops, in milliseconds and without torch.

The result runs the same kernels as the network exported whole; its weights are the fragments' random ones. It is for
timing, not for use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hwnas.errors import ArtifactError
from hwnas.latency.keys import keys_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from hwnas.ir.opgraph import OpGraph


def assemble(graph: OpGraph, fragments: Mapping[str, ModelProto], *, output_name: str = "logits") -> ModelProto:
    """The ONNX model of ``graph`` from ``fragments`` by key text (:func:`hwnas.exporters.onnx_export.export_ops`).

    Input and output are called as in a whole export: the graph's input (``image``) and ``logits``. Everything else is
    prefixed with its node's name. A missing fragment is an ArtifactError naming the node and the key.
    """
    from onnx import ModelProto

    keys = keys_of(graph)
    missing = [f"node {name!r} ({key.text})" for name, key in keys.items() if key.text not in fragments]
    if missing:
        raise ArtifactError(f"no kernel was exported for {missing[0]}", "export every key of the graph first")
    values = {name: f"{name}/output" for name in keys} | {graph.input: graph.input, graph.output: output_name}
    model = ModelProto()
    model.graph.name = "network"
    model.producer_name = "hwnas"
    for node in graph.nodes:
        fragment = fragments[keys[node.name].text]
        _join_versions(model, fragment, node.name)
        _append(model, fragment, node.name, [values[source] for source in node.inputs], values[node.name])
    for ends, name in ((model.graph.input, graph.input), (model.graph.output, graph.output)):
        _declare(ends.add(), values[name], (1, *graph.shape(name)))
    return model


def assemble_bytes(graph: OpGraph, fragments: Mapping[str, bytes]) -> bytes:
    """:func:`assemble` of serialised fragments, serialised."""
    from onnx import ModelProto

    parsed = {key.text: ModelProto.FromString(fragments[key.text]) for key in keys_of(graph).values()}
    whole: bytes = assemble(graph, parsed).SerializeToString()
    return whole


def _append(model: ModelProto, fragment: ModelProto, prefix: str, inputs: list[str], output: str) -> None:
    """Add the fragment's nodes and weights under ``prefix``, between ``inputs`` and ``output``."""
    names = {f"input{slot}": name for slot, name in enumerate(inputs)} | {"output": output, "": ""}
    for weight in fragment.graph.initializer:
        copied = model.graph.initializer.add()
        copied.CopyFrom(weight)
        copied.name = names.setdefault(weight.name, f"{prefix}/{weight.name}")
    for node in fragment.graph.node:
        copied_node: NodeProto = model.graph.node.add()
        copied_node.CopyFrom(node)
        copied_node.name = f"{prefix}/{node.name}"
        copied_node.input[:] = [names.setdefault(name, f"{prefix}/{name}") for name in node.input]
        copied_node.output[:] = [names.setdefault(name, f"{prefix}/{name}") for name in node.output]


def _join_versions(model: ModelProto, fragment: ModelProto, name: str) -> None:
    """All fragments must have been exported alike."""
    if not model.opset_import:
        model.opset_import.extend(fragment.opset_import)
        model.ir_version = fragment.ir_version
    opsets, ours = ({(s.domain, s.version) for s in m.opset_import} for m in (fragment, model))
    if opsets != ours or fragment.ir_version != model.ir_version:
        raise ArtifactError(
            f"the kernel of node {name!r} was exported for another opset than the others", "export all kernels again"
        )


def _declare(value: object, name: str, shape: tuple[int, ...]) -> None:
    from onnx import TensorProto, helper

    value.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))  # type: ignore[attr-defined]
