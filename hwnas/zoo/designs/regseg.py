"""RegSeg (arXiv 2111.09957): a backbone of dilated grouped convolutions in place of pyramid pooling."""

from __future__ import annotations

from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design

GROUP_WIDTH = 16
DILATIONS = ((1,), (1, 2), *((1, 4),) * 4, *((1, 14),) * 7)
"""Of the 13 blocks of stage 16 that do not stride."""


def squeeze_excite(net: CellBuilder, name: str, source: str, channels: int, hidden: int, gate: str = "sigmoid") -> str:
    """Channels gated by their means through two 1x1 convolutions with bias."""
    means = net.add(f"{name}/mean", "global_avg_pool", source)
    squeezed = net.bare_conv(f"{name}/squeeze", means, hidden, bias=True, activation="relu")
    excited = net.bare_conv(f"{name}/excite", squeezed, channels, bias=True)
    return net.add(f"{name}/gate", "gate", source, excited, activation=gate)


def _dilated(net: CellBuilder, name: str, source: str, channels: int, dilations: tuple[int, ...], stride: int) -> str:
    """Grouped 3x3 convolution; with several dilations, each on a part of the channels."""
    if len(dilations) == 1:
        groups = channels // GROUP_WIDTH
        return net.conv(f"{name}/conv2", source, channels, groups=groups, stride=stride, dilation=dilations[0])
    width, parts = channels // len(dilations), []
    for index, dilation in enumerate(dilations):
        part = net.add(f"{name}/part{index}", "channel_split", source, parts=len(dilations), index=index)
        given = {"groups": width // GROUP_WIDTH, "dilation": dilation, "stride": stride}
        parts.append(net.bare_conv(f"{name}/conv2_{index}", part, width, 3, **given))
    return net.add(f"{name}/norm2", "batch_norm", net.add(f"{name}/concat", "concat", *parts))


def _block(
    net: CellBuilder, name: str, source: str, widths: tuple[int, int], dilations: tuple[int, ...], stride: int
) -> str:
    """RegNetY's block with dilations."""
    inputs, channels = widths
    out = _dilated(net, name, net.conv(f"{name}/conv1", source, channels, 1), channels, dilations, stride)
    out = net.linear_conv(f"{name}/conv3", squeeze_excite(net, name, out, channels, inputs // 4), channels, 1)
    if stride == 2:
        source = net.add(f"{name}/shortcut_pool", "avg_pool_2x2", source)
    if stride == 2 or inputs != channels:
        source = net.linear_conv(f"{name}/shortcut", source, channels, 1)
    return net.add(f"{name}/relu", "relu", net.add(f"{name}/add", "add", out, source))


def regseg() -> ZooEntry:
    """RegSeg, which its code calls exp48_decoder26."""
    net = CellBuilder("image")
    source, inputs, features = net.conv("stem", "image", 32, stride=2), 32, {}
    stages: dict[int, list[tuple[int, tuple[int, ...]]]] = {
        4: [(48, (1,))],
        8: [(128, (1,))] * 3,
        16: [(256, (1,)), *((256, rates) for rates in DILATIONS[:-1]), (320, DILATIONS[-1])],
    }
    for stage, blocks in stages.items():
        for index, (channels, dilations) in enumerate(blocks):
            name = f"stage{stage}_{index + 1}"
            source = _block(net, name, source, (inputs, channels), dilations, 1 if index else 2)
            inputs = channels
        features[stage] = source
    high = net.conv("decoder/head16", features[16], 128, 1)
    high = net.add("decoder/up16", "resize_bilinear", high, features[8])
    high = net.add("decoder/add", "add", net.conv("decoder/head8", features[8], 128, 1), high)
    high = net.add("decoder/up8", "resize_bilinear", net.conv("decoder/conv8", high, 64), features[4])
    joined = net.add("decoder/concat", "concat", high, net.conv("decoder/head4", features[4], 8, 1))
    return design(
        "regseg",
        net.finish(net.conv("decoder/conv4", joined, 64)),
        paper="RegSeg: Rethinking Dilated Convolution for Real-time Semantic Segmentation, arXiv 2111.09957",
        source="RolandGao/RegSeg@0f61c66dd9:model.py",
        classifier=True,
    )
