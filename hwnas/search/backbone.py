"""Backbones that a method takes as given: which part of a space's networks that is, and where its weights come from.

They are a user's pretrained ones, or trained on ``train`` first. A backbone that is frozen must have been trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import HwnasError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions, SearchSpace

if TYPE_CHECKING:
    from torch import Tensor

    from hwnas.supernet.shared import SharedWeights

HEADS = ("head/", "decoder/", "backbone/", "classifier")
"""What the nodes behind a backbone are called."""
SAMPLES = 24
"""Genotypes that are compared to see what no choice touches."""


@dataclass(frozen=True)
class Backbone:
    """Trained weights ``"<node>.<parameter>"`` → tensor, and ``source``: what trained them, for keys and reports."""

    tensors: Mapping[str, Tensor]
    source: str

    def start(self, graph: OpGraph, seed: int) -> dict[str, Tensor]:
        """Weights to begin a training of ``graph`` with: the backbone's where names and shapes agree, else new ones."""
        from hwnas.compiler.network import compile_graph

        state = compile_graph(graph, seed=seed).state_dict()
        for name, tensor in self.tensors.items():
            if name in state and state[name].shape == tensor.shape:
                state[name] = tensor.clone()
        return dict(state)

    def into(self, shared: SharedWeights) -> int:
        """Copy the weights into a supernet's tensors that they fit; how many those were.

        A supernet's tensor is called ``node|family|parameter``; those that are larger keep what they have.
        """
        import torch

        copied = 0
        with torch.no_grad():
            for key, parameter in shared.tensors.items():
                node, _, name = key.split("|")
                tensor = self.tensors.get(f"{node}.{name}")
                if tensor is not None and tensor.shape == parameter.shape:
                    parameter.copy_(tensor)
                    copied += 1
        return copied


def takes_backbone(space: SearchSpace) -> bool:
    """Whether the method that the space comes from takes its backbone as given (``dpc``, ``auxcells``, ``crnas``)."""
    return bool(getattr(space, "takes_backbone", False))


def reference_graph(space: SearchSpace, shape: Shape, classes: int) -> OpGraph:
    """A network of the space with its backbone as published: the space's ``reference`` decisions, or any."""
    return expand(space.decode(_reference(space)).genotype, shape, classes)


def _reference(space: SearchSpace) -> Decisions:
    reference: Decisions | None = getattr(space, "reference", None)
    return reference if reference is not None else space.sample(np.random.default_rng(0))


def untouched(space: SearchSpace, shape: Shape, classes: int) -> frozenset[str]:
    """The nodes before the head that no choice touches: the same in every genotype, as all that they read from.

    A HwnasError if there are none: then nothing of the space can be frozen.
    """
    rng = np.random.default_rng(0)
    graphs = [expand(space.decode(space.sample(rng)).genotype, shape, classes) for _ in range(SAMPLES)]
    fixed: set[str] = set()
    for node in graphs[0].nodes:
        if node.name.startswith(HEADS):
            continue
        same = all(node.name in graph.graph and graph.node(node.name) == node for graph in graphs[1:])
        if same and all(source in fixed or source == graphs[0].input for source in node.inputs):
            fixed.add(node.name)
    if not any(graphs[0].node(name).params.get("channels") for name in fixed):
        raise HwnasError(
            f"the space {space.name} has no backbone that could be frozen: its choices touch every layer",
            "frozen features are for spaces of decoders, such as dpc and auxcells",
        )
    return frozenset(fixed)


def backbone_graph(space: SearchSpace, shape: Shape, classes: int) -> OpGraph:
    """What is trained to get a backbone: the reference network where the space has one, else what no choice touches
    with a 1x1 convolution on its last features."""
    if getattr(space, "reference", None) is not None:
        return reference_graph(space, shape, classes)
    from hwnas.compiler.tail import boundary

    fixed = untouched(space, shape, classes)
    graph = reference_graph(space, shape, classes)
    builder = GraphBuilder(shape)
    for node in graph.nodes:
        if node.name in fixed:
            builder.add(node.name, node.op, node.inputs, node.params)
    deepest = boundary(graph, fixed)[-1]
    logits = builder.add("backbone/classifier", "seg_head", [deepest], {"classes": classes})
    _, height, width = shape
    return builder.finish(
        builder.add("backbone/upsample", "resize_bilinear", [logits], {"height": height, "width": width})
    )


def backbone_state(space: SearchSpace, shape: Shape, classes: int) -> dict[str, Tensor]:
    """The tensors (freshly made) that pretrained weights may fill: those of the reference network's backbone."""
    from hwnas.compiler.network import compile_graph

    graph = backbone_graph(space, shape, classes)
    state = compile_graph(graph, seed=0).state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(HEADS)}


def need_trained(backbone: Backbone | None, what: str) -> Backbone:
    """The backbone, or a HwnasError: frozen at random it would teach nothing about a candidate."""
    if backbone is None:
        raise HwnasError(
            f"{what} freezes a backbone, and there is no trained one",
            "give --backbone-weights FILE.safetensors --keymap NAME, or let the search train one first",
        )
    return backbone
