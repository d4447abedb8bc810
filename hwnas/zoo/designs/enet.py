"""ENet (arXiv 1606.02147), as davidtvs/PyTorch-ENet has it: PReLU in the encoder, ReLU in the decoder, no biases."""

from __future__ import annotations

from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design

STAGE = ((1, False), (2, False), (1, True), (4, False), (1, False), (8, False), (1, True), (16, False))
"""(dilation, asymmetric) of the eight bottlenecks of stages 2 and 3."""


def enet() -> ZooEntry:
    """ENet; its dropout is left out."""
    net = CellBuilder("image")
    stem = net.add("stem", "enet_stem", "image", channels=16)
    source = net.add("stage1/down", "enet_downsample", stem, channels=64)
    for index in range(1, 5):
        source = net.add(f"stage1/block{index}", "enet_bottleneck", source)
    first = source
    source = net.add("stage2/down", "enet_downsample", source, channels=128)
    for stage in (2, 3):
        for index, (dilation, asymmetric) in enumerate(STAGE, start=1):
            kernel = 5 if asymmetric else 3
            name = f"stage{stage}/block{index}"
            source = net.add(name, "enet_bottleneck", source, dilation=dilation, asymmetric=asymmetric, kernel=kernel)
    for stage, before, depth in ((4, first, 2), (5, stem, 1)):
        source = net.add(f"stage{stage}/up", "enet_upsample", source, before)
        for index in range(1, depth + 1):
            source = net.add(f"stage{stage}/block{index}", "enet_bottleneck", source, activation="relu")
    return design(
        "enet",
        net.finish(net.add("logits", "conv_transpose_3x3", source, "image")),
        paper="ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation, arXiv 1606.02147",
        source="davidtvs/PyTorch-ENet@e17d404e2f:models/enet.py",
        note="a reimplementation; the original is in Torch7",
        size_hw=(512, 1024),
    )
