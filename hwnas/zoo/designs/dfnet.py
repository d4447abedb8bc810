"""Dongfeng networks of Partial Order Pruning (arXiv 1903.03777): searched backbones and decoders, here written down."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.shapes import Value
from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design

PAPER = "Partial Order Pruning: for Best Speed/Accuracy Trade-off in Neural Architecture Search, arXiv 1903.03777"
SOURCE = "lixincn2015/Partial-Order-Pruning@e1367269a6:prototxt"

Stage = tuple[int, ...]
"""Channels of each block; the first one strides."""
DF_LITE: tuple[Stage, ...] = ((64, 64), (128, 128), (256, 512))
DF1: tuple[Stage, ...] = ((64,) * 3, (128,) * 3, (256, 256, 256, 512))
DF2: tuple[Stage, ...] = ((64, 64, 128), (128,) * 10 + (256,), (256,) * 4 + (512,) * 2)


def _stem(net: CellBuilder) -> str:
    return net.conv("stem/conv2", net.conv("stem/conv1", "image", 32, stride=2), 64, stride=2)


def _backbone(net: CellBuilder, stages: Sequence[Stage]) -> dict[int, str]:
    """Stride → features of the stages of basic blocks."""
    source, features = _stem(net), {}
    for index, stage in enumerate(stages):
        for block, channels in enumerate(stage, start=1):
            name = f"res{index + 2}_{block}"
            source = net.add(name, "basic_block", source, channels=channels, stride=2 if block == 1 else 1)
        features[8 << index] = source
    return features


def _classifier(name: str, net: CellBuilder, features: str) -> ZooEntry:
    logits = net.add("last/logits", "seg_head", net.add("last/mean", "global_avg_pool", features))
    source = f"{SOURCE}/{name}.prototxt"
    return design(name, net.finish(logits), paper=PAPER, source=source, size_hw=(224, 224), classes=1000)


def df(name: str, stages: Sequence[Stage]) -> ZooEntry:
    """A backbone of basic blocks as a classifier of ImageNet."""
    net = CellBuilder("image")
    return _classifier(name, net, _backbone(net, stages)[32])


def _bottleneck(net: CellBuilder, name: str, source: str, hidden: int, channels: int, stride: int) -> str:
    """ResNet's bottleneck with a projected shortcut, though the width may stay."""
    out = net.conv(f"{name}/conv2", net.conv(f"{name}/conv1", source, hidden, 1), hidden, stride=stride)
    shortcut = net.linear_conv(f"{name}/shortcut", source, channels, 1, stride=stride)
    total = net.add(f"{name}/add", "add", net.linear_conv(f"{name}/conv3", out, channels, 1), shortcut)
    return net.add(f"{name}/relu", "relu", total)


def df2a() -> ZooEntry:
    """DF2A: bottlenecks in the last two stages of DF2; where their width grows, or would, they project."""
    net = CellBuilder("image")
    source = _backbone(net, DF2[:1])[8]
    stages = {3: [(128, 512)] * 10 + [(256, 1024)], 4: [(256, 1024)] * 4 + [(512, 1024)] * 2}
    for stage, blocks in stages.items():
        before = 0
        for index, (hidden, channels) in enumerate(blocks, start=1):
            name = f"res{stage}_{index}"
            if hidden != before:
                source = _bottleneck(net, name, source, hidden, channels, 2 if index == 1 else 1)
            else:
                source = net.add(name, "bottleneck", source, channels=channels, hidden=hidden, stride=1)
            before = hidden
    return _classifier("df2a", net, source)


def df_seg(name: str, stages: Sequence[Stage], widths: tuple[int | None, int | None, int | None]) -> ZooEntry:
    """Segmentation: pyramid pooling and a decoder of ``widths`` at strides 8, 16 and 32; ``None``: the classes."""
    net = CellBuilder("image")
    features = _backbone(net, stages)
    source = _decoded(net, "decoder32/project", _pyramid(net, features[32]), widths[2])
    for stride, width in ((16, widths[1]), (8, widths[0])):
        source = _decoded(net, f"decoder{stride}/reduce", source, width)
        source = net.add(f"decoder{stride}/up", "resize_bilinear", source, features[stride])
        fine = _decoded(net, f"decoder{stride}/project", features[stride], width)
        joined = net.add(f"decoder{stride}/concat", "concat", fine, source)
        source = _decoded(net, f"decoder{stride}/conv", joined, width, 3)
    logits = _decoded(net, "logits", source, None, 3, activation="none")
    file = {"df1-seg": "df1seg", "df-lite-seg": "df-lite_seg_mergebn"}.get(name, name.replace("-", ""))
    return design(name, net.finish(logits), paper=PAPER, source=f"{SOURCE}/{file}.prototxt")


def _decoded(net: CellBuilder, name: str, source: str, width: int | None, kernel: int = 1, **params: Value) -> str:
    given: dict[str, Value] = {} if width is None else {"channels": width}
    return net.add(name, f"conv_{kernel}x{kernel}", source, **given, **{"stride": 1, **params})


def _pyramid(net: CellBuilder, source: str) -> str:
    """Means over fixed windows of 32, 16, 8 and 4 pixels, projected, resized back and joined by a 3x3 convolution."""
    maps = [source]
    for window in (32, 16, 8, 4):
        given = {"kernel": window, "row_stride": window, "column_stride": window}
        pooled = net.add(f"context/pool{window}", "window_pool", source, **given)
        pooled = net.conv(f"context/conv{window}", pooled, 128, 1)
        maps.append(net.add(f"context/up{window}", "resize_bilinear", pooled, source))
    return net.conv("context/out", net.add("context/concat", "concat", *maps), 512)


def dfnets() -> list[ZooEntry]:
    """All of them."""
    return [
        df("df1", DF1),
        df("df2", DF2),
        df2a(),
        df_seg("df-lite-seg", DF_LITE, (32, 32, 512)),
        df_seg("df1-seg", DF1, (None, 32, 128)),
        df_seg("df2-seg1", DF2, (None, None, 32)),
        df_seg("df2-seg2", DF2, (None, 256, 512)),
    ]
