"""Fast-SCNN (arXiv 1902.04502), as Tramac/Fast-SCNN-pytorch counts it, with the paper's dilation in the fusion."""

from __future__ import annotations

from hwnas.shapes import Value
from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design


def fast_scnn() -> ZooEntry:
    """Fast-SCNN."""
    net = CellBuilder("image")
    source = net.conv("downsample/conv", "image", 32, stride=2)
    for index, channels in enumerate((48, 64), start=1):
        source = net.add(f"downsample/ds{index}", "ds_conv_3x3", source, channels=channels, stride=2)
    high = source
    for stage, (channels, stride) in enumerate(((64, 2), (96, 2), (128, 1)), start=1):
        for block in (1, 2, 3):
            name = f"extract/stage{stage}_{block}"
            source = net.add(name, "mbconv_e6_k3", source, channels=channels, stride=stride if block == 1 else 1)
    low = net.add("extract/pyramid", "pyramid_pool", source, channels=128)
    low = net.add("fuse/up", "resize_like", low, high)
    low = net.add("fuse/low_dw", "dw_conv_3x3", low, dilation=4)
    linear: dict[str, Value] = {"channels": 128, "activation": "none"}
    low = net.add("fuse/low", "biased_conv_1x1", low, **linear)
    joined = net.add("fuse/add", "add", low, net.add("fuse/high", "biased_conv_1x1", high, **linear))
    source = net.add("fuse/relu", "relu", joined)
    for index in (1, 2):
        source = net.add(f"classify/ds{index}", "ds_conv_3x3", source, channels=128)
    head = CellBuilder(high)
    return design(
        "fast-scnn",
        net.finish(source),
        paper="Fast-SCNN: Fast Semantic Segmentation Network, arXiv 1902.04502",
        source="Tramac/Fast-SCNN-pytorch@0638517d35:models/fast_scnn.py",
        note="a reimplementation, but for the fusion's dilation of 4, which is the paper's",
        heads={"auxiliary": head.finish(head.add("logits", "conv_seg_head", high, channels=32))},
        classifier=True,
    )
