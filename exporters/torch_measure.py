"""Timing ops and networks in PyTorch as it is, the reference engine: ``measure.py`` with one engine more.

    python -m hwnas.exporters.torch_measure bundle.zip -o measured.jsonl --engine torch-eager

Its bundles hold texts in place of ONNX: the latency key of a kernel, the genotype of a net with its size.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwnas.latency import measure
from hwnas.latency.bundle import ModelForm
from hwnas.latency.keys import LatencyKey, parse_key

if TYPE_CHECKING:
    from torch import nn

    from hwnas.ir.opgraph import OpGraph
    from hwnas.shapes import Shape

FORM = ModelForm("torch")


def key_texts(keys: Sequence[LatencyKey]) -> Iterable[bytes]:
    """Keys as the models of a bundle."""
    return [key.text.encode() for key in keys]


def assemble_texts(graph: OpGraph, fragments: Mapping[str, bytes]) -> bytes:
    """A net as the model of a bundle: its input, and each node's name, latency key and inputs."""
    from hwnas.latency.keys import keys_of

    nodes = [[name, key.text, graph.node(name).inputs] for name, key in keys_of(graph).items()]
    document = {"input": [graph.input, graph.shape(graph.input)], "nodes": nodes, "output": graph.output}
    return json.dumps(document).encode()


def module_of(model: bytes) -> tuple[nn.Module, list[Shape]]:
    """The module of a bundle's model with random weights, in evaluation mode, and the shapes (C, H, W) it takes."""
    import torch

    from hwnas.compiler.network import compile_graph
    from hwnas.exporters.untrained import randomise
    from hwnas.ops.spec import OPS

    module: nn.Module
    if model.startswith(b"{"):
        graph = _graph_of(json.loads(model))
        module, shapes = compile_graph(graph, seed=0), [graph.shape(graph.input)]
    elif b"\0" in model or b"@" not in model:  # ONNX: the one that every bundle has
        module, shapes = _reference()
    else:
        key = parse_key(model.decode())
        with torch.random.fork_rng(devices=[]):  # building draws weights
            module, shapes = OPS.get(key.op).module(key.input_shapes, key.params).build(), list(key.input_shapes)
    randomise(module, 0)
    return module.eval(), shapes


def _graph_of(document: Mapping[str, Any]) -> OpGraph:
    from hwnas.ir.opgraph import GraphBuilder

    name, (channels, height, width) = document["input"]
    builder = GraphBuilder((channels, height, width), input_name=name)
    for node, text, inputs in document["nodes"]:
        key = parse_key(text)
        builder.add(node, key.op, inputs, key.params)
    return builder.finish(document["output"])


def _reference() -> tuple[nn.Module, list[Shape]]:
    """The layers of :func:`hwnas.latency.reference.reference_model`."""
    from torch import nn

    from hwnas.latency.reference import ENLARGED, SHAPE, WIDTH

    layers = [
        nn.Conv2d(SHAPE[1], WIDTH, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False),
        nn.ReLU(),
        nn.Conv2d(WIDTH, ENLARGED[1], 1, bias=False),
        nn.Upsample(ENLARGED[2:], mode="bilinear"),
    ]
    return nn.Sequential(*layers), [(SHAPE[1], SHAPE[2], SHAPE[3])]


def open_torch(model: bytes, setting: measure.Setting) -> measure.Opened:
    """A closure that runs a module of torch once."""
    import torch

    torch.set_num_threads(setting.threads)
    module, shapes = module_of(model)
    images = [torch.rand(setting.batch, *shape, generator=torch.Generator().manual_seed(0)) for shape in shapes]

    def run() -> object:
        with torch.inference_mode():
            return module(*images)

    return measure.Opened(run)


ADAPTER = measure.Adapter("torch", {"fp32": FORM.graphs}, open_torch)

if __name__ == "__main__":
    measure.ENGINES["torch-eager"] = ADAPTER
    sys.exit(measure.main(sys.argv[1:]))
