"""The weights of a supernet. There is no second network definition: a path is a genotype's ordinary op graph, run with
sliced views of shared tensors, so it equals exactly the compiled network with those slices as its weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from hwnas.compiler.network import Network, compile_graph
from hwnas.errors import HwnasError, RunError
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Shape
from hwnas.spaces.base import SearchSpace
from hwnas.supernet.extents import extents_of, spanning_graphs
from hwnas.supernet.slices import Extent, path_nodes, take

if TYPE_CHECKING:
    from hwnas.supernet.slices import PathNode, Use


class SharedWeights:
    """One tensor for each node name × op family × parameter, of the largest size that any path needs.

    ``tensors`` (float32, leaves that require gradients) is keyed like ``"stage2/block1|mbconv|dw.conv.weight"``.
    Make one with :meth:`of` or :meth:`for_space`.
    """

    def __init__(self, extents: Mapping[str, Extent], tensors: Mapping[str, Tensor]) -> None:
        self.extents = dict(extents)
        self.tensors = {key: nn.Parameter(tensors[key]) for key in self.extents}

    @classmethod
    def of(cls, graphs: Iterable[OpGraph], rng: np.random.Generator) -> SharedWeights:
        """Weights that every one of ``graphs`` fits in, newly initialised."""
        extents = extents_of(graphs)
        return cls(extents, _initial(extents, int(rng.integers(2**63))))

    @classmethod
    def for_space(
        cls,
        space: SearchSpace,
        input_shape: Shape,
        classes: int,
        rng: np.random.Generator,
        *,
        samples: int = 150,
    ) -> SharedWeights:
        """Weights for all of ``space``, newly initialised; see :func:`~hwnas.supernet.extents.spanning_graphs`.

        Paths that need more all the same are refused, never served wrongly: see :meth:`covers`.
        """
        return cls.of(spanning_graphs(space, input_shape, classes, rng, samples), rng)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The tensors, for an optimizer."""
        return iter(self.tensors.values())

    def to(self, device: Any) -> SharedWeights:
        """Move all tensors, in place."""
        for parameter in self.tensors.values():
            parameter.data = parameter.data.to(device)
        return self

    def covers(self, graph: OpGraph) -> bool:
        """Whether ``graph`` can be run with these weights."""
        return all(self._fits(use) for path_node in path_nodes(graph) for use in path_node.uses)

    def run(self, graph: OpGraph, images: Tensor, *, output: str | None = None) -> Tensor:
        """The output (or the value of the node ``output``) of ``graph`` on ``images`` (N, C, H, W).

        BatchNorm uses the statistics of the batch.
        """
        values = {graph.input: images}
        wanted = output or graph.output
        for path_node in path_nodes(graph):
            inputs = tuple(values[name] for name in path_node.node.inputs)
            views = {use.parameter: self._view(path_node, use) for use in path_node.uses}
            values[path_node.node.name] = functional_call(path_node.module, views, inputs)
            if path_node.node.name == wanted:
                break
        return values[wanted]

    def materialize(self, graph: OpGraph) -> Network:
        """An ordinary network that holds copies of the slices; its BatchNorm statistics are untouched defaults."""
        network = compile_graph(graph, seed=0)
        own = dict(network.named_parameters())
        with torch.no_grad():
            for path_node in path_nodes(graph):
                for use in path_node.uses:
                    own[f"{path_node.node.name}.{use.parameter}"].copy_(self._view(path_node, use))
        return network

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors by key."""
        return {key: parameter.detach() for key, parameter in self.tensors.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy ``tensors`` in; a missing, foreign or differently shaped one is a RunError."""
        if set(tensors) != set(self.tensors):
            odd = sorted(set(tensors) ^ set(self.tensors))[0]
            raise RunError(
                f"the supernet's weights do not belong to this space ({odd!r} differs)", "start a new run directory"
            )
        with torch.no_grad():
            for key, parameter in self.tensors.items():
                if tensors[key].shape != parameter.shape:
                    raise RunError(f"the supernet's weight {key!r} has another shape", "start a new run directory")
                parameter.copy_(tensors[key])

    def _fits(self, use: Use) -> bool:
        return use.key in self.extents and self.extents[use.key].fits(use)

    def _view(self, path_node: PathNode, use: Use) -> Tensor:
        if not self._fits(use):
            there = self.extents.get(use.key)
            raise HwnasError(
                f"node {path_node.node.name!r} ({path_node.node.op}) needs weights {use.parameter} of shape "
                f"{use.shape}, and the supernet has {there.shape if there else 'none'}",
                "it is not a genotype of the space that the supernet was made for",
            )
        return take(self.tensors[use.key], self.extents[use.key], use)


def _initial(extents: Mapping[str, Extent], seed: int) -> dict[str, Tensor]:
    """As compiler.network.initialise: normal with variance 2 / fan-out; near 0 before logits; BatchNorm at identity."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, extent in extents.items():
        if len(extent.shape) == 1:
            tensors[key] = torch.ones(extent.shape) if key.endswith("weight") else torch.zeros(extent.shape)
            continue
        depthwise = extent.shape[1] == 1
        fan_out = (1 if depthwise else extent.shape[0]) * math.prod(extent.shape[2:])
        logits = key.removesuffix("weight") + "bias" in extents
        std = 0.01 if logits else math.sqrt(2 / fan_out)
        tensors[key] = torch.randn(extent.shape, generator=generator) * std
    return tensors
