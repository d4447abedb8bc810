"""Training one network: on crops, perhaps on whole images last; BatchNorm statistics at full size in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from hwnas.compiler.network import Network, compile_graph
from hwnas.compiler.weights import apply_weights
from hwnas.data.augment import Augmentation
from hwnas.data.batches import Batches
from hwnas.data.cache import Arrays
from hwnas.data.preprocess import normalize
from hwnas.errors import HwnasError
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.remove_dead_branches import remove_dead_branches
from hwnas.progress import Progress
from hwnas.shapes import Shape
from hwnas.skeletons.base import task_of
from hwnas.training.average import moving_average
from hwnas.training.batchnorm import recalibrate
from hwnas.training.device import channels_last, make_fabric
from hwnas.training.loop import Fitted, Hooks, Log, fit
from hwnas.training.losses import Loss, class_weights, make_loss
from hwnas.training.optimizer import make_optimizer
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget, Schedule, Spent

AUXILIARY_WEIGHT = 0.4
"""Of the loss of each auxiliary output, as in NASNet and DARTS."""
GraphAt = Callable[[Shape], OpGraph]
"""The same architecture expanded for an input shape (C, H, W)."""


@dataclass(frozen=True)
class Trained:
    """A trained network, compiled for the arrays' full size and in evaluation mode, and what its training did."""

    network: Network
    fitted: Fitted


def train_network(
    graph_at: GraphAt,
    arrays: Arrays,
    indices: np.ndarray,
    classes: int,
    *,
    recipe: Recipe,
    budget: Budget,
    initial: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    log: Path | None = None,
    progress: Progress | None = None,
    label: str = "train the network",
) -> Trained:
    """Train ``graph_at``'s architecture on the images at ``indices`` until the budget is spent.

    ``initial`` is a ``state_dict`` to start from (a supernet's slices); else weights are drawn from ``seed``. In the
    last ``recipe.full_size`` of the budget whole images are seen. BatchNorm statistics are measured at full size, on
    training images, when all is done. The losses of auxiliary outputs count :data:`AUXILIARY_WEIGHT`. Raises
    DivergedError if the loss stops being finite, HwnasError for a network that does not segment.
    """
    fabric = make_fabric(recipe, device=device, threads=threads)
    full_hw = arrays.images.shape[1:3]
    graph = graph_at((3, *full_hw))
    if task_of(graph) != "segmentation":
        raise HwnasError(
            "a network that classifies whole images cannot be trained on segmentation data",
            "put its cells into a skeleton that segments, such as cell-segmentation",
        )
    network = compile_graph(graph, seed=seed)
    if initial is not None:
        apply_weights(network, initial)
    channels_last(network.to(fabric.device))
    weight = class_weights(arrays.masks[indices], classes, recipe.balance)
    loss_of = make_loss(recipe, None if weight is None else weight.to(fabric.device))
    average = moving_average(network, recipe.ema) if recipe.ema else None
    optimizer = make_optimizer(network.parameters(), recipe)

    fitted = Fitted(Spent(), ())
    for crop_hw, until in _phases(recipe, arrays):
        resized = at_shape(network, graph_at, (3, *crop_hw)).train()
        transform = augmentation_of(recipe, crop_hw)
        with Batches(arrays, indices, recipe.batch, transform, seed=seed, start=fitted.spent.steps, ahead=2) as batches:
            part = fit(
                _step(fabric, resized, loss_of),
                batches,
                optimizer,
                budget=budget,
                until=until,
                schedule=Schedule(recipe.warmup, recipe.power),
                clip_norm=recipe.clip_norm,
                spent=fitted.spent,
                hooks=Hooks(after_step=None if average is None else lambda _: average.update_parameters(network)),
                log=Log(log),
                progress=progress,
                label=label,
            )
        fitted = Fitted(part.spent, fitted.losses + part.losses)
    if average is not None:
        _copy_parameters(average.module, network)
    recalibrate(network, _full_images(arrays, indices, fabric))
    return Trained(network, fitted)


def augmentation_of(recipe: Recipe, crop_hw: tuple[int, int]) -> Augmentation:
    """The recipe's random zoom, crop, flip and colour."""
    return Augmentation(crop_hw=crop_hw, scale=recipe.scale)


def crop_of(recipe: Recipe, arrays: Arrays) -> tuple[int, int]:
    """The crop's height and width: the recipe's fraction of the data's, in multiples of 4 pixels."""
    height, width = (max(32, round(size * recipe.crop / 4) * 4) for size in arrays.images.shape[1:3])
    return height, width


def logits_node(graph: OpGraph) -> str:
    """The node whose value the last resize enlarges: a loss can do that itself, to the size that it needs."""
    last = graph.node(graph.output)
    return last.inputs[0] if last.op == "resize_bilinear" else graph.output


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


def _phases(recipe: Recipe, arrays: Arrays) -> list[tuple[tuple[int, int], float]]:
    """Crop sizes and the fraction of the budget until which each is used."""
    height, width = arrays.images.shape[1:3]
    phases = [(crop_of(recipe, arrays), 1.0 - recipe.full_size)] if recipe.full_size < 1 else []
    return [*phases, ((height, width), 1.0)] if recipe.full_size > 0 else phases


def _step(fabric: Fabric, network: Network, loss_of: Loss) -> Callable[[tuple[Tensor, Tensor]], dict[str, float]]:
    def step(batch: tuple[Tensor, Tensor]) -> dict[str, float]:
        images, masks = fabric.to_device(batch)
        with fabric.autocast():
            outputs = network(images.contiguous(memory_format=torch.channels_last))
            logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
            loss = loss_of(logits, masks)
            for hint in auxiliary:
                loss = loss + AUXILIARY_WEIGHT * loss_of(hint, masks)
        fabric.backward(loss)
        return {"loss": loss.item()}

    return step


def _copy_parameters(source: nn.Module, target: nn.Module) -> None:
    with torch.no_grad():
        for ours, theirs in zip(target.parameters(), source.parameters(), strict=True):
            ours.copy_(theirs)


def _full_images(arrays: Arrays, indices: np.ndarray, fabric: Fabric, count: int = 64, batch: int = 8) -> list[Tensor]:
    """Evenly spaced training images as they are at inference: whole and not augmented."""
    chosen = indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)]
    parts = [chosen[start : start + batch] for start in range(0, len(chosen), batch)]
    return [normalize(torch.from_numpy(np.ascontiguousarray(arrays.images[part])).to(fabric.device)) for part in parts]
