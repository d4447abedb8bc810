"""ESPNetv2 for segmentation (arXiv 1811.11431) at its four widths."""

from __future__ import annotations

import math

from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design

BRANCHES = 4


def _prelu(net: CellBuilder, source: str) -> str:
    return net.add(f"{source}_prelu", "prelu", source)


def _dilations(largest_field: int) -> list[int]:
    """Of the branches, whose receptive fields of 3, 5, … fall back to 3 beyond the largest."""
    fields = [3 + 2 * branch for branch in range(BRANCHES)]
    return sorted((field - 1) // 2 if field <= largest_field else 1 for field in fields)


def _eesp(net: CellBuilder, name: str, source: str, channels: int, largest_field: int, stride: int = 1) -> str:
    """Grouped reduction, depthwise convolutions with growing dilation that are added up, grouped 1x1 convolution."""
    width = channels // BRANCHES
    reduced = _prelu(net, net.linear_conv(f"{name}/reduce", source, width, 1, groups=BRANCHES))
    parts: list[str] = []
    for index, dilation in enumerate(_dilations(largest_field), start=1):
        given = {"groups": width, "stride": stride, "dilation": dilation}
        part = net.bare_conv(f"{name}/branch{index}", reduced, width, 3, **given)
        parts.append(net.add(f"{name}/sum{index}", "add", part, parts[-1]) if parts else part)
    joined = net.add(f"{name}/concat", "concat", *parts)
    joined = _prelu(net, net.add(f"{name}/norm", "batch_norm", joined, activation="none"))
    return net.linear_conv(f"{name}/expand", joined, channels, 1, groups=BRANCHES)


def _eesp_block(net: CellBuilder, name: str, source: str, channels: int, largest_field: int) -> str:
    expanded = _eesp(net, name, source, channels, largest_field)
    return _prelu(net, net.add(f"{name}/add", "add", expanded, source))


def _downsampler(
    net: CellBuilder, name: str, source: str, image: str, widths: tuple[int, int], largest_field: int
) -> str:
    """Means beside a striding EESP, and the image at that size added through two convolutions."""
    inputs, channels = widths
    means = net.add(f"{name}/mean", "padded_avg_pool", source, kernel=3, stride=2)
    expanded = _eesp(net, name, source, channels - inputs, largest_field, stride=2)
    joined = net.add(f"{name}/joined", "concat", means, expanded)
    image = _prelu(net, net.linear_conv(f"{name}/image_conv", image, 3))
    image = net.linear_conv(f"{name}/image", image, channels, 1)
    return _prelu(net, net.add(f"{name}/reinforced", "add", joined, image))


def _encoder(net: CellBuilder, widths: list[int]) -> list[str]:
    """Features of strides 2, 4, 8 and 16."""
    source = _prelu(net, net.linear_conv("level1", "image", widths[0], stride=2))
    image = net.add("image2", "padded_avg_pool", "image", kernel=3, stride=2)
    features = [source]
    for level, (depth, field, down_field) in enumerate(((0, 0, 13), (3, 9, 11), (7, 7, 9)), start=2):
        image = net.add(f"image{2**level}", "padded_avg_pool", image, kernel=3, stride=2)
        pair = (widths[level - 2], widths[level - 1])
        source = _downsampler(net, f"level{level}/down", source, image, pair, down_field)
        for index in range(1, depth + 1):
            source = _eesp_block(net, f"level{level}/block{index}", source, widths[level - 1], field)
        features.append(source)
    return features


def _pyramid(net: CellBuilder, source: str, channels: int) -> str:
    """Depthwise convolutions at four halvings, resized back and concatenated."""
    levels, pooled = [source], source
    for index in range(1, 5):
        pooled = net.add(f"pyramid/pool{index}", "padded_avg_pool", pooled, kernel=3, stride=2)
        level = net.bare_conv(f"pyramid/dw{index}", pooled, channels, 3, groups=channels)
        levels.append(net.add(f"pyramid/up{index}", "resize_bilinear", level, source))
    joined = net.add("pyramid/concat", "concat", *levels)
    return _prelu(net, net.linear_conv("pyramid/project", joined, channels, 1))


def espnetv2(scale: float) -> ZooEntry:
    """ESPNetv2-Seg at ``scale`` 0.5, 1, 1.5 or 2."""
    base = math.ceil(int(32 * scale) / BRANCHES) * BRANCHES
    widths = [min(32, base), 2 * base, 4 * base, 8 * base]
    net = CellBuilder("image")
    fine, quarter, eighth, sixteenth = _encoder(net, widths)
    projected = _prelu(net, net.linear_conv("merge8/project", sixteenth, widths[2], 1))
    upsampled = net.add("merge8/up", "resize_bilinear", projected, eighth)
    joined = net.add("merge8/joined", "concat", eighth, upsampled)
    merged = _prelu(net, _eesp(net, "merge8", joined, widths[2], 7))
    source = net.bare_conv("merge8/classes", _pyramid(net, merged, widths[2]), None)
    source = _prelu(net, net.add("merge8/classes_norm", "batch_norm", source, activation="none"))
    joined = net.add("merge4/joined", "concat", quarter, net.add("merge4/up", "resize_bilinear", source, quarter))
    source = _prelu(net, net.add("merge4/classes", "conv_1x1", joined, activation="none", stride=1))
    joined = net.add("merge2/joined", "concat", fine, net.add("merge2/up", "resize_bilinear", source, fine))
    return design(
        f"espnetv2-x{scale:g}",
        net.finish(net.bare_conv("logits", joined, None)),
        paper="ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional Neural Network, "
        "arXiv 1811.11431",
        source="sacmehta/ESPNetv2@b78e323039:segmentation/cnn/SegmentationModel.py",
        size_hw=(512, 1024),
        classes=20,
    )
