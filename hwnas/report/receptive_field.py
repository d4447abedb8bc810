"""The effective receptive field: how far a network really sees, measured and drawn (Luo et al., arXiv 1701.04128).

The gradient of the centre pixel of a feature map with respect to the image, squared, averaged over channels, random
images and weights, and smoothed a little: which pixels matter to it, and how much. About Gaussian, it is much smaller
than what kernels and strides allow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import GenotypeError
from hwnas.files import write_bytes
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.remove_dead_branches import remove_dead_branches
from hwnas.report.palette import INK, ramp_colour

if TYPE_CHECKING:
    from PIL import Image

EDGE = 0.0455
"""A pixel belongs to the field where its influence is at least this share of the largest (two deviations)."""


@dataclass(frozen=True)
class ReceptiveField:
    """``influence_HW``: of each pixel of the image on the centre of the map of ``node``, the largest being 1."""

    node: str
    influence_HW: np.ndarray

    @property
    def side_px(self) -> float:
        """Side of the square that has as many pixels as the field."""
        return math.sqrt(float((self.influence_HW >= EDGE).sum()))


def deepest(graph: OpGraph) -> str:
    """The last node of the coarsest map that is more than one pixel, the head's and the decoder's left out."""
    maps = [name for name in graph.order if min(graph.shape(name)[1:]) > 1]
    maps = [name for name in maps if not name.startswith(("head/", "decoder/", "auxiliary"))] or maps
    if not maps:
        raise GenotypeError("the network has no map of more than one pixel to measure a receptive field at")
    coarsest = min(graph.shape(name)[1] * graph.shape(name)[2] for name in maps)
    return next(name for name in reversed(maps) if graph.shape(name)[1] * graph.shape(name)[2] == coarsest)


def measure_receptive_field(graph: OpGraph, node: str = "", *, images: int = 4, seed: int = 0) -> ReceptiveField:
    """Measure the field of a newly initialised network at ``node`` (the ``deepest`` if empty).

    ``images`` random images, each on other weights; the same ``seed`` gives the same field. GenotypeError for a node
    that the graph does not have, or whose value does not depend on the image.
    """
    node = node or deepest(graph)
    if node not in graph.order:
        raise GenotypeError(f"the network has no node {node!r}", f"its nodes are: {', '.join(graph.order[:12])}, …")
    total = smoothed(np.sum(list(_gradients(graph, node, images, seed)), axis=0))
    peak = float(np.max(total))
    if not peak > 0:
        raise GenotypeError(f"node {node!r} does not depend on the image")
    return ReceptiveField(node, total / peak)


def smoothed(influence_HW: np.ndarray) -> np.ndarray:
    """Means over windows of a 32nd of the image, cut at its edges: single gradients are noise."""
    for axis, length in enumerate(influence_HW.shape):
        half = max(1, length // 64)
        sums = np.insert(np.cumsum(influence_HW, axis=axis), 0, 0.0, axis=axis)
        ends = np.minimum(np.arange(length) + half + 1, length)
        starts = np.maximum(np.arange(length) - half, 0)
        width = np.expand_dims(ends - starts, 1 - axis)
        influence_HW = (np.take(sums, ends, axis=axis) - np.take(sums, starts, axis=axis)) / width
    return influence_HW


def _gradients(graph: OpGraph, node: str, images: int, seed: int) -> Iterator[np.ndarray]:
    import torch

    from hwnas.compiler.network import compile_graph
    from hwnas.training.batchnorm import recalibrate

    seen = remove_dead_branches(OpGraph(graph.graph, graph.input, node))
    for index in range(images):
        network = compile_graph(seen, seed=seed + index)
        generator = torch.Generator().manual_seed(seed + index)
        batch = torch.randn(2, *graph.shape(graph.input), generator=generator)
        recalibrate(network, [batch])
        image = batch[:1].requires_grad_()
        features = network(image)
        _, height, width = graph.shape(node)
        centre = features[0, :, height // 2, width // 2]
        # signs at random: summed channels would cancel or agree by chance of the weights
        signs = torch.randint(0, 2, centre.shape, generator=generator) * 2.0 - 1.0
        if not centre.requires_grad:
            yield np.zeros(tuple(image.shape[2:]))
            continue
        (gradient,) = torch.autograd.grad((centre * signs).sum(), image, allow_unused=True)
        found = (
            np.zeros(tuple(image.shape[2:])) if gradient is None else gradient[0].square().mean(dim=0).double().numpy()
        )
        yield found / max(float(found.sum()), 1e-300)


def draw_receptive_field(field: ReceptiveField, path: Path, *, title: str = "") -> Path:
    """Write the field as a PNG heat map on a logarithmic scale, with a square of its side; returns ``path``."""
    import io

    buffer = io.BytesIO()
    _picture(field, title).save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())
    return path


def _picture(field: ReceptiveField, title: str) -> Image.Image:
    from PIL import Image, ImageDraw

    height, width = field.influence_HW.shape
    zoom = max(1, round(480 / max(height, width)))
    decades = np.log10(np.maximum(field.influence_HW, 1e-4)) / 4 + 1  # 0 at a ten-thousandth, 1 at the largest
    colours = np.array([_rgb(ramp_colour(level / 255)) for level in range(256)], dtype=np.uint8)
    pixels = colours[np.clip(decades * 255, 0, 255).astype(int)]
    heat = Image.fromarray(pixels).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
    found = f"{field.node}: about {field.side_px:.0f}x{field.side_px:.0f} of {height}x{width} pixels"
    lines = [title, found] if title else [found]
    lines.append("influence from 1/10,000 (white) to the largest; square: above 4.55%")
    top = 16 * len(lines) + 8
    picture = Image.new("RGB", (max(heat.width, 8 * max(map(len, lines)) + 12), heat.height + top), "white")
    picture.paste(heat, (0, top))
    draw = ImageDraw.Draw(picture)
    for index, line in enumerate(lines):
        draw.text((6, 4 + 16 * index), line, fill=INK)
    half = field.side_px * zoom / 2
    x, y = heat.width / 2, top + heat.height / 2
    draw.rectangle((0, top, heat.width - 1, top + heat.height - 1), outline=INK)
    inside = (max(x - half, 0), max(y - half, top), min(x + half, heat.width - 1), min(y + half, top + heat.height - 1))
    draw.rectangle(inside, outline=INK, width=2)
    return picture


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
