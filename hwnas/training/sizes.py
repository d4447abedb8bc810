"""The sizes that a network is trained at: crops first, whole images last, and the same weights at every size."""

from __future__ import annotations

from collections.abc import Callable

from hwnas.compiler.network import Network, compile_graph
from hwnas.data.augment import Augmentation
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.remove_dead_branches import remove_dead_branches
from hwnas.shapes import Shape
from hwnas.training.recipe import Recipe

GraphAt = Callable[[Shape], OpGraph]
"""The same architecture expanded for an input shape (C, H, W)."""


def augmentation_of(recipe: Recipe, crop_hw: tuple[int, int]) -> Augmentation:
    """The recipe's random zoom, crop, flip and colour."""
    return Augmentation(crop_hw=crop_hw, scale=recipe.scale)


def crop_of(recipe: Recipe, size_hw: tuple[int, int]) -> tuple[int, int]:
    """The crop's height and width: the recipe's fraction of the images', in multiples of 4 pixels."""
    height, width = (max(32, round(size * recipe.crop / 4) * 4) for size in size_hw)
    return height, width


def phases(recipe: Recipe, size_hw: tuple[int, int]) -> list[tuple[tuple[int, int], float]]:
    """Crop sizes and the fraction of the budget until which each is used."""
    crops = [(crop_of(recipe, size_hw), 1.0 - recipe.full_size)] if recipe.full_size < 1 else []
    return [*crops, (size_hw, 1.0)] if recipe.full_size > 0 else crops


def logits_node(graph: OpGraph, output: str | None = None) -> str:
    """The node whose value the last resize before the output, or before ``output``, enlarges: a loss can do that
    itself, to the size that it needs."""
    name = output or graph.output
    last = graph.node(name)
    return last.inputs[0] if last.op == "resize_bilinear" else name


def at_shape(network: Network, graph_at: GraphAt, shape: Shape) -> Network:
    """A network for images of ``shape`` that shares all parameters and statistics with ``network``.

    The last upsampling is left to the loss.
    """
    graph = graph_at(shape)
    shrunk = OpGraph(graph.graph, graph.input, logits_node(graph), graph.auxiliary)
    resized = compile_graph(remove_dead_branches(shrunk), seed=0)
    ours = network.state_dict(keep_vars=True)
    resized.load_state_dict({key: ours[key] for key in resized.state_dict()}, assign=True)
    return resized
