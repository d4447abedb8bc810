"""The one way from torch to ONNX: PyTorch's dynamo exporter, one opset, static shapes, BatchNorm folded beforehand.

Whole networks go to files; op kernels go many at a time (the exporter's fixed costs are a second, one more op costs
some 0.05 s), as the branches of one module that is then split.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.blame import instead_of
from hwnas.files import write_bytes
from hwnas.shapes import Shape, format_shape

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

    from hwnas.compiler.network import Network

OPSET = 18
"""The opset that the dynamo exporter writes without a conversion; every engine here reads it."""

NODE_KEY = "hwnas.node"
"""Key of an ONNX node's metadata under which the op graph's node is named that it comes from."""


def export_network(network: Network, path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write ``network`` as ONNX to ``path``, see :func:`network_as_onnx`."""
    write_bytes(path, onnx_bytes(network_as_onnx(network, metadata=metadata)))


def onnx_bytes(model: ModelProto) -> bytes:
    """What goes into a file; equal models give equal bytes."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def network_as_onnx(network: Network, *, metadata: Mapping[str, str] | None = None) -> ModelProto:
    """``network`` as ONNX: checked, batch 1, every shape static.

    Input: ``image``, float32 (1, C, H, W). Output: ``logits``, float32 (1, K, H, W); for others see ``ends``. ONNX
    nodes are named after the op graph's (``"stage2/block1/Conv_1"``) and carry its name as metadata ``hwnas.node``.
    ``metadata`` goes into the model. Raises ArtifactError naming the node that cannot be exported.
    """
    import torch
    from onnx import ModelProto, checker

    graph = network.graph
    example = torch.zeros(1, *graph.shape(graph.input))
    try:
        model = _export(_folded(network), (example,), ["image"], ["logits"])
    except _ExportFailure as error:
        raise _blamed(network, error) from error
    _name_after(model, graph.order)
    model.producer_name = "hwnas"
    for key, value in sorted((metadata or {}).items()):
        model.metadata_props.add(key=key, value=str(value))
    assert isinstance(model, ModelProto)
    checker.check_model(model, full_check=True)
    return model


def export_modules(
    modules: Sequence[tuple[nn.Module, Sequence[Shape]]], *, names: Sequence[str] = ()
) -> list[ModelProto]:
    """Export (module, shapes of its inputs) each, in one call of the exporter, and split the result.

    Modules should have their BatchNorm folded (:func:`hwnas.exporters.fold.fold_batchnorm`). ``names`` are for errors.
    """
    import torch
    from onnx.utils import Extractor

    examples = [torch.zeros(1, *shape) for _, shapes in modules for shape in shapes]
    inputs = [[f"in{i}_{slot}" for slot in range(len(shapes))] for i, (_, shapes) in enumerate(modules)]
    outputs = [f"out{i}" for i in range(len(modules))]
    branches = _branches([module for module, _ in modules], [len(shapes) for _, shapes in modules])
    try:
        whole = _export(branches, tuple(examples), [name for group in inputs for name in group], outputs)
    except _ExportFailure as error:
        if len(modules) > 1:  # find out which
            return [export_modules([one], names=names[i : i + 1])[0] for i, one in enumerate(modules)]
        shapes = "+".join(map(format_shape, modules[0][1]))
        name = names[0] if names else f"{type(modules[0][0]).__name__} on {shapes}"
        raise ArtifactError(f"{name} cannot be exported to ONNX: {error}", "use another op in its place") from error
    extractor = Extractor(whole)
    return [
        _as_fragment(extractor.extract_model(group, [output]), group, output)
        for group, output in zip(inputs, outputs, strict=True)
    ]


class _ExportFailure(Exception):
    """The exporter's complaint in one line."""


def _export(module: nn.Module, examples: tuple[Tensor, ...], inputs: list[str], outputs: list[str]) -> Any:
    """The exporter itself; returns a ModelProto without the exporter's notes (they hold local paths)."""
    import torch

    module.eval().requires_grad_(False)
    try:
        with _quiet(), torch.no_grad():
            exported = torch.export.export(module, examples, strict=False)
            program = torch.onnx.export(
                exported,
                dynamo=True,
                opset_version=OPSET,
                input_names=inputs,
                output_names=outputs,
                external_data=False,
                optimize=True,
                verbose=False,
            )
    except HwnasError:
        raise
    except Exception as error:  # the exporter wraps whatever an op's code or a missing conversion raised
        raise _ExportFailure(_first_cause(error)) from error
    assert program is not None
    model = program.model_proto
    _give_constants_a_node(model)
    _strip_notes(model)
    return model


def _first_cause(error: BaseException) -> str:
    """The innermost complaint, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, and pause garbage collection: it costs a quarter of the time on so many live objects."""
    # "torchvision is not installed", once for each of its ops; notes on passes that had nothing to do
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels, collecting = [logger.level for logger in loggers], gc.isenabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if collecting:
            gc.enable()


def _give_constants_a_node(model: ModelProto) -> None:
    """An output that is a constant (the op ``none``) comes as a bare initializer, which ONNX does not allow."""
    outputs = {output.name for output in model.graph.output}
    for initializer in model.graph.initializer:
        if initializer.name in outputs:
            name, initializer.name = initializer.name, f"{initializer.name}_value"
            model.graph.node.add(op_type="Identity", name=f"{name}_node", input=[initializer.name], output=[name])


def _strip_notes(model: ModelProto) -> None:
    """Keep of the exporter's notes on each node only the path of its torch module, as metadata ``hwnas.node``."""
    for node in model.graph.node:
        scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]")
        del node.metadata_props[:]
        node.metadata_props.add(key=NODE_KEY, value=scopes)
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
        value.doc_string = ""
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    del model.functions[:]


def _name_after(model: ModelProto, names: Sequence[str]) -> None:
    """Rename ONNX nodes after the op graph's node that they come from.

    ``names`` are in execution order; a node of no module goes with the last of those whose values it reads.
    """
    place = {name: index for index, name in enumerate(names)}
    made_by: dict[str, str] = {}
    counts: dict[str, int] = {}
    for node in model.graph.node:
        scopes = _scopes(node.metadata_props[0].value)
        origins = [scope for path in scopes for scope in _prefixes(path) if scope in place]
        read = [made_by[name] for name in node.input if name in made_by]
        origin = origins[0] if origins else max(read, key=lambda name: place.get(name, -1), default="output")
        made_by.update(dict.fromkeys(node.output, origin))
        stem = f"{origin}/{node.op_type}"
        counts[stem] = counts.get(stem, 0) + 1
        node.name = f"{stem}_{counts[stem]}"
        node.metadata_props[0].value = origin


def _scopes(text: str) -> list[str]:
    """The exporter's list of module paths, outermost first; it writes a Python list of strings."""
    import ast

    return [str(scope) for scope in ast.literal_eval(text)]


def _prefixes(path: str) -> list[str]:
    """``"network.stem/conv.act"`` → each of its parts; the nodes' names hold no dots."""
    return path.split(".")


def _folded(network: Network) -> Network:
    from hwnas.exporters.fold import fold_network

    return fold_network(network)


def _branches(modules: Sequence[nn.Module], arities: Sequence[int]) -> nn.Module:
    """One module that runs each of ``modules`` on inputs of its own."""
    from torch import nn

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branches = nn.ModuleList(modules)

        def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            outputs, start = [], 0
            for module, arity in zip(self.branches, arities, strict=True):
                outputs.append(module(*inputs[start : start + arity]))
                start += arity
            return tuple(outputs)

    return Branches()


def _blamed(network: Network, error: Exception) -> ArtifactError:
    """The error of exporting a whole network, told of the first node that cannot be exported alone."""
    from hwnas.exporters.fold import fold_network

    graph = network.graph
    for name, child in fold_network(network).named_children():
        node = graph.node(name)
        try:
            export_modules([(child, graph.input_shapes(name))], names=[f"node {name!r} ({node.op})"])
        except ArtifactError as blame:
            return ArtifactError(blame.message, instead_of(node.op))
    return ArtifactError(f"the network cannot be exported to ONNX: {error}")


def _as_fragment(model: ModelProto, inputs: Sequence[str], output: str) -> ModelProto:
    """Rename the ends to ``input0`` …, ``output``; the shapes in between are dropped, engines infer them."""
    graph = model.graph
    names = {name: f"input{slot}" for slot, name in enumerate(inputs)} | {output: "output"}
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]
        del node.metadata_props[:]
    for value in [*graph.input, *graph.output]:
        value.name = names[value.name]
    del graph.value_info[:]
    graph.name = "op"
    model.producer_name = "hwnas"
    return model
