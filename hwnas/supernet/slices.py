"""Which part of which shared tensor a node of a path uses."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS, ModuleCall
from hwnas.shapes import Value
from hwnas.supernet.layout import Layout, channel_layout


@dataclass(frozen=True)
class Use:
    """A parameter of a node: the shared tensor called ``key``, of which it needs ``shape``.

    Where dimension 1 are the node's input channels, ``segments`` tells where those come from; else it is empty.
    """

    parameter: str
    key: str
    shape: tuple[int, ...]
    segments: Layout = ()


@dataclass(frozen=True)
class PathNode:
    """A node of a path: its module without weights, and what it takes from the shared ones."""

    node: Node
    module: nn.Module
    uses: tuple[Use, ...]


def path_nodes(graph: OpGraph) -> Iterator[PathNode]:
    """The nodes of ``graph`` in execution order with their uses of shared weights.

    Tensors are keyed by node name (origin), op family and parameter: kernels and expansions of one family share.
    """
    layouts = channel_layout(graph)
    for node in graph.nodes:
        spec = OPS.get(node.op)
        call = spec.module(graph.input_shapes(node.name), node.params)
        module, shapes = skeleton_of(call)
        grouped = node.params.get("groups", 1) != 1
        uses = tuple(
            Use(
                name,
                f"{node.name}|{spec.family}|{name}",
                shape,
                layouts[node.inputs[0]] if name in spec.fan_in and not grouped else (),
            )
            for name, shape in shapes
        )
        yield PathNode(node, module, uses)


def skeleton_of(call: ModuleCall) -> tuple[nn.Module, tuple[tuple[str, tuple[int, ...]], ...]]:
    """A module on the meta device, and its parameters' names and shapes. BatchNorm always uses the batch's statistics.

    Modules are shared between nodes and paths: they hold no state.
    """
    return _skeleton(call.class_name, tuple(sorted(call.kwargs.items())), call.source)


@functools.lru_cache(maxsize=4096)
def _skeleton(
    class_name: str, kwargs: tuple[tuple[str, Value], ...], source: str
) -> tuple[nn.Module, tuple[tuple[str, tuple[int, ...]], ...]]:
    with torch.device("meta"):
        module = ModuleCall(class_name, dict(kwargs), source).build()
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
    shapes = tuple((name, tuple(parameter.shape)) for name, parameter in module.named_parameters())
    return module.train(), shapes


@dataclass(frozen=True)
class Extent:
    """The size of a shared tensor; ``segments`` are the places of dimension 1's segments: slot → (offset, width)."""

    shape: tuple[int, ...]
    segments: Mapping[str, tuple[int, int]]

    def fits(self, use: Use) -> bool:
        """Whether the tensor is large enough for ``use``."""
        if len(use.shape) != len(self.shape) or bool(use.segments) != bool(self.segments):
            return False
        for dim, (needed, there) in enumerate(zip(use.shape, self.shape, strict=True)):
            if dim == 1 and use.segments:
                if any(self.segments.get(part.slot, (0, 0))[1] < part.width for part in use.segments):
                    return False
            elif needed > there:
                return False
        return True


def take(tensor: Tensor, extent: Extent, use: Use) -> Tensor:
    """The part of a shared tensor that ``use`` means: leading channels, segments in their places, kernels centred.

    A view where that is possible.
    """
    for dim, length in enumerate(use.shape):
        if dim == 1 and use.segments:
            tensor = _segments(tensor, extent, use)
        elif tensor.shape[dim] != length:
            start = (tensor.shape[dim] - length) // 2 if dim >= 2 else 0
            tensor = tensor.narrow(dim, start, length)
    return tensor


def _segments(tensor: Tensor, extent: Extent, use: Use) -> Tensor:
    pieces: list[list[int]] = []  # (start, length), adjoining ones joined
    for part in use.segments:
        start = extent.segments[part.slot][0]
        if pieces and sum(pieces[-1]) == start:
            pieces[-1][1] += part.width
        else:
            pieces.append([start, part.width])
    if pieces == [[0, tensor.shape[1]]]:
        return tensor
    views = [tensor.narrow(1, start, length) for start, length in pieces]
    return views[0] if len(views) == 1 else torch.cat(views, dim=1)
