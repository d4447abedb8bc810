"""Xception-65 and -71 as DeepLab has them (arXiv 1802.02611), with the published dense prediction cell.

All pooling is strided; ReLU stands before the separable convolutions, but in the last block behind each convolution.
Low-level features are those behind the second convolution of the block that leaves stride 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design

MIDDLE = 16


@dataclass(frozen=True)
class Block:
    """Output channels of its three separable convolutions; the last one strides."""

    name: str
    channels: tuple[int, int, int]
    stride: int = 1
    shortcut: str = "conv"


def _blocks(entry: Sequence[tuple[int, int]]) -> list[Block]:
    blocks = [Block(f"entry{number}", (width,) * 3, stride) for number, (width, stride) in enumerate(entry, start=1)]
    blocks += [Block(f"middle{number}", (728, 728, 728), shortcut="sum") for number in range(1, MIDDLE + 1)]
    return [*blocks, Block("exit1", (728, 1024, 1024), 2), Block("exit2", (1536, 1536, 2048), shortcut="none")]


DEPTHS = {
    65: ((128, 2), (256, 2), (728, 2)),
    71: ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2)),
}
"""(channels, stride) of the blocks of the entry flow."""


def xception(depth: int, output_stride: int = 16, head: str = "dpc:published") -> ZooEntry:
    """``depth`` is 65 or 71; where ``output_stride`` is reached, blocks dilate instead of striding."""
    net = CellBuilder("image")
    source = net.conv("stem/conv1", "image", 32, stride=2)
    source = net.conv("stem/conv2", source, 64)
    stride, dilation, taps = 2, 1, []
    for block in _blocks(DEPTHS[depth]):
        dilated = block.stride == 2 and stride == output_stride
        if block.stride == 2 and stride == 4:
            taps.append((4, f"{block.name}/sep2/pw"))
        source = _block(net, replace(block, stride=1) if dilated else block, source, dilation)
        dilation, stride = (dilation * 2, stride) if dilated else (dilation, stride * block.stride)
    taps.append((stride, source))
    suffix = "" if output_stride == 16 else f"-os{output_stride}"
    found = design(
        f"dpc-xception-{depth}{suffix}",
        net.finish(source),
        paper="Searching for Efficient Multi-Scale Architectures for Dense Image Prediction, arXiv 1809.04184",
        source="tensorflow/models@015d6ed6:research/deeplab/core/xception.py, dense_prediction_cell.py, and "
        "core/dense_prediction_cell_branch5_top1_cityscapes.json@d318246c",
        note="bilinear resizing aligns corners in the authors' code, which changes no count; head aspp is DeepLabv3+",
        size_hw=(1025, 2049),
        classifier=True,
    )
    genotype = replace(found.genotype, params={"head": head, "taps": tuple(taps)})
    return replace(found, genotype=genotype)


def _block(net: CellBuilder, block: Block, source: str, dilation: int) -> str:
    rectified_inside = block.shortcut == "none"
    activation = "relu" if rectified_inside else "none"
    out = source
    for index, channels in enumerate(block.channels, start=1):
        name = f"{block.name}/sep{index}"
        if not rectified_inside:
            out = net.add(f"{name}/relu", "relu", out)
        stride = block.stride if index == 3 else 1
        out = net.add(f"{name}/dw", "dw_conv_3x3", out, stride=stride, dilation=dilation, activation=activation)
        out = net.conv(f"{name}/pw", out, channels, 1, activation=activation)
    if block.shortcut == "none":
        return out
    if block.shortcut == "conv":
        source = net.linear_conv(f"{block.name}/shortcut", source, block.channels[-1], 1, stride=block.stride)
    return net.add(f"{block.name}/add", "add", out, source)
