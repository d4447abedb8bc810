"""An op graph as a PyTorch module. Imports torch, so import this module only where a network is needed."""

from __future__ import annotations

import copy
import hashlib
import math
from typing import Any

import torch
from torch import Tensor, nn

from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS
from hwnas.shapes import format_shape


class Network(nn.Module):
    """Runs an op graph: images (N, C, H, W) → the graph's output, of the sizes that the graph was expanded for.

    A graph with auxiliary outputs gives a tuple in training mode: the output, then these. In evaluation mode they are
    not computed.

    Its children are the nodes' modules under the nodes' names, so ``state_dict`` keys are ``"<node>.<parameter>"``.
    No parameter's shape depends on H and W: to run at another size, compile the genotype expanded at that size and
    load the same ``state_dict``.
    """

    def __init__(self, graph: OpGraph) -> None:
        super().__init__()
        self.graph = graph
        # plain tuples and texts: torch.compile cannot look into networkx
        self._input, self._outputs = graph.input, (graph.output, *graph.auxiliary)
        self._input_shape = graph.shape(graph.input)
        self._steps = tuple((node.name, node.op, node.inputs) for node in graph.nodes)
        self._only_training = graph.only_auxiliary
        self._spent = _spent_after(graph)

    def forward(self, images_NCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        if tuple(images_NCHW.shape[1:]) != self._input_shape:
            raise HwnasError(
                f"the network was expanded for images of {format_shape(self._input_shape)}, "
                f"but got a batch of shape {'x'.join(map(str, images_NCHW.shape))}",
                "expand the genotype at the images' size; the same weights load there",
            )
        values: dict[str, Tensor] = {self._input: images_NCHW}
        for (name, op, sources), spent in zip(self._steps, self._spent, strict=True):
            if not self.training and name in self._only_training:
                continue
            values[name] = self._run(name, op, [values[source] for source in sources])
            for value in spent:
                values.pop(value, None)
        if self.training and len(self._outputs) > 1:
            return tuple(values[name] for name in self._outputs)
        return values[self._outputs[0]]

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        """Copy the modules and share the graph, which is frozen."""
        memo[id(self.graph)] = self.graph
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def _run(self, name: str, op: str, inputs: list[Tensor]) -> Tensor:
        try:
            output: Tensor = self._modules[name](*inputs)  # type: ignore[misc]
            return output
        except torch.OutOfMemoryError as error:
            # kept as it is, for those who answer it with a smaller batch
            error.add_note(f"in node {name!r} ({op})")
            raise
        except (RuntimeError, ValueError) as error:
            fed = ", ".join("x".join(map(str, value.shape)) for value in inputs)
            raise HwnasError(f"node {name!r} ({op} on {fed}) failed: {error}") from error


def compile_graph(graph: OpGraph, *, seed: int | None = None) -> Network:
    """The module of ``graph``, newly initialised.

    With a ``seed``, a node's weights depend on the seed, its name, op, parameters and input channels alone, whatever
    else the graph holds, and the global random state is left as it was. A node that cannot be built is a GenotypeError.
    """
    network = Network(graph)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        for node in graph.nodes:
            if seed is not None:
                torch.default_generator.manual_seed(_seed_of(seed, node.name))  # a GPU's state stays
            network.add_module(_checked_name(network, node), _build(graph, node))
    return network


def initialise(module: nn.Module) -> None:
    """Initialise convolutions and BatchNorms below ``module`` from the global random state.

    Convolutions: normal with variance 2 / fan-out (He et al., arXiv 1502.01852; groups counted). Those with a bias end
    in logits, with no BatchNorm behind them to rescale them: a standard deviation of 0.01, so that the first losses are
    near log(classes).
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.out_channels * math.prod(part.kernel_size) / part.groups
            nn.init.normal_(part.weight, std=math.sqrt(2 / fan_out) if part.bias is None else 0.01)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()


def _build(graph: OpGraph, node: Node) -> nn.Module:
    try:
        module = OPS.get(node.op).module(graph.input_shapes(node.name), node.params).build()
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise GenotypeError(f"node {node.name!r} ({node.op}) cannot be built: {error}") from error
    initialise(module)
    return module


def _checked_name(network: Network, node: Node) -> str:
    """The node's name if a PyTorch module can be registered under it."""
    if not node.name or "." in node.name or hasattr(network, node.name):
        reason = "is empty" if not node.name else 'holds a "."' if "." in node.name else "is an attribute of modules"
        raise GenotypeError(f"node name {node.name!r} {reason}", 'choose another one; "/" may part its levels')
    return node.name


def _seed_of(seed: int, name: str) -> int:
    """63 bits that depend on the seed and a node's name."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") >> 1


def _spent_after(graph: OpGraph) -> tuple[tuple[str, ...], ...]:
    """For each node in execution order: the values that nothing needs after it."""
    last: dict[str, str] = {}
    for node in graph.nodes:
        last[node.name] = node.name  # a node that nothing reads is spent at once
        last.update(dict.fromkeys(node.inputs, node.name))
    for output in (graph.output, *graph.auxiliary):
        last.pop(output, None)
    spent: dict[str, list[str]] = {name: [] for name in graph.order}
    for name, reader in last.items():
        spent[reader].append(name)
    return tuple(tuple(names) for names in spent.values())
