"""Networks put together from exported ops: each op is exported once for all networks that have it.

Exporting a whole network takes seconds, and most of that again for every op that another network had already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from hwnas.compiler.network import Network
from hwnas.exporters.fold import fold_batchnorm
from hwnas.exporters.fragments import assemble_bytes
from hwnas.exporters.kernels import CHUNK
from hwnas.exporters.onnx_export import export_modules
from hwnas.exporters.untrained import randomise
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.keys import LatencyKey, keys_of
from hwnas.ops.spec import OPS

if TYPE_CHECKING:
    from torch import nn


class ExportedOps:
    """Ops with random weights, each as the PyTorch module and as what the exporter makes of it.

    Nodes of the same op, parameters and input shapes have the same weights.
    """

    def __init__(self) -> None:
        self._modules: dict[str, nn.Module] = {}
        self._models: dict[str, bytes] = {}

    def add(self, graphs: Iterable[OpGraph]) -> None:
        """Export the ops of ``graphs`` that are not there yet, many in one call."""
        keys = {key.text: key for graph in graphs for key in keys_of(graph).values() if key.text not in self._modules}
        texts = sorted(keys)
        for start in range(0, len(texts), CHUNK):
            part = texts[start : start + CHUNK]
            modules = [_random_module(keys[text], start + place) for place, text in enumerate(part)]
            shapes = [keys[text].input_shapes for text in part]
            exported = export_modules(list(zip(modules, shapes, strict=True)), names=part)
            self._modules.update(zip(part, modules, strict=True))
            self._models.update((text, model.SerializeToString()) for text, model in zip(part, exported, strict=True))

    def network(self, graph: OpGraph) -> Network:
        """The PyTorch network of ``graph``."""
        network = Network(graph)
        for name, key in keys_of(graph).items():
            network.add_module(name, self._modules[key.text])
        return network.eval()

    def onnx(self, graph: OpGraph) -> bytes:
        """The ONNX model of ``graph``."""
        return assemble_bytes(graph, self._models)


def _random_module(key: LatencyKey, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        module = OPS.get(key.op).module(key.input_shapes, key.params).build()
    randomise(module, seed)
    return fold_batchnorm(module)
