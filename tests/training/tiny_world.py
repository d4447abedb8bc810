"""A task that colours decide, and networks that learn it in a few steps."""

from __future__ import annotations

import numpy as np

from hwnas.data.cache import Arrays
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape

CLASSES = 3


def colored_tiles(count: int = 12) -> Arrays:
    """Images 64x64 of 8x8-pixel tiles whose colour is their class."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, CLASSES, (count, 8, 8), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    images = np.eye(CLASSES, dtype=np.uint8)[masks] * 150 + rng.integers(0, 60, (count, 64, 64, 3), dtype=np.uint8)
    masks[:, :4] = 255
    return Arrays(images, masks, tuple(map(str, range(count))))


def tiny(shape: Shape, *, channels: int = 8, classes: int = CLASSES) -> OpGraph:
    """A stem, a block and a classifier at half the size."""
    builder = GraphBuilder(shape)
    source = builder.add("stem", "conv_3x3", ["image"], {"channels": channels, "stride": 2})
    source = builder.add("block", "mbconv_e2_k3", [source], {"channels": channels})
    return classified(builder, source, classes)


def with_cell(shape: Shape) -> OpGraph:
    """A cell with two branches, an identity beside one of them, and an auxiliary head."""
    builder = GraphBuilder(shape)
    stem = builder.add("stem", "conv_3x3", ["image"], {"channels": 4, "stride": 2})
    first = builder.add("cell0/a", "sep_conv_3x3", [stem], {"channels": 4})
    second = builder.add("cell0/b", "skip_connect", [stem])
    inner = builder.add("cell0/inner", "add", [first, second])
    third = builder.add("cell0/c", "conv_3x3", [inner], {"channels": 4})
    output = builder.add("cell0/output", "concat", [inner, third])
    hint = builder.add("hint", "seg_head", [inner], {"classes": CLASSES})
    return classified(builder, output, CLASSES, hint)


def classified(builder: GraphBuilder, source: str, classes: int, *auxiliary: str) -> OpGraph:
    """The finished graph, with a classifier on ``source``."""
    _, height, width = builder.shape(builder.input)
    logits = builder.add("classifier", "seg_head", [source], {"classes": classes})
    return builder.finish(
        builder.add("upsample", "resize_bilinear", [logits], {"height": height, "width": width}), auxiliary
    )
