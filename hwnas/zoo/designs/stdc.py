"""Networks on STDC backbones: STDC1-Seg (arXiv 2104.13188), its classifier, and PP-LiteSeg-T (arXiv 2204.02681)."""

from __future__ import annotations

from hwnas.ir.cell import Cell
from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.bisenet import context_path, feature_fusion
from hwnas.zoo.designs.builder import CellBuilder, design

STDC = "STDC: Rethinking BiSeNet For Real-time Semantic Segmentation, arXiv 2104.13188"
SOURCE = "MichaelFan01/STDC-Seg@59ff37fbd6"
STDC1_DEPTHS = (2, 2, 2)


def _stdc_block(net: CellBuilder, name: str, source: str, channels: int, stride: int, count: int = 4) -> str:
    """Short-term dense concatenation: ``count`` convolutions, each half as wide as the last, all concatenated."""
    first = net.conv(f"{name}/conv1", source, channels // 2, 1)
    out, parts = first, [first]
    if stride == 2:
        out = net.linear_conv(f"{name}/down", first, channels // 2, groups=channels // 2, stride=2)
        parts = [net.add(f"{name}/skip", "padded_avg_pool", first, kernel=3, stride=2)]
    for index in range(1, count):
        width = channels // 2 ** min(index + 1, count - 1)
        out = net.conv(f"{name}/conv{index + 1}", out, width)
        parts.append(out)
    return net.add(f"{name}/concat", "concat", *parts)


def stdc_backbone(net: CellBuilder, depths: tuple[int, ...] = STDC1_DEPTHS) -> dict[int, str]:
    """Stride → features of STDC1 (813): 64 base channels."""
    features = {2: net.conv("stem/conv1", "image", 32, stride=2)}
    source = features[4] = net.conv("stem/conv2", features[2], 64, stride=2)
    for stage, depth in enumerate(depths):
        stride = 8 << stage
        for index in range(depth):
            source = _stdc_block(net, f"stage{stride}_{index + 1}", source, 256 << stage, 1 if index else 2)
        features[stride] = source
    return features


def _output(source: str, hidden: int, channels: int | None = None) -> Cell:
    """3x3 convolution and a 1x1 one without bias; ``channels=None`` are the classes."""
    head = CellBuilder(source)
    return head.finish(head.bare_conv("logits", head.conv("conv", source, hidden), channels))


def stdc1_seg() -> ZooEntry:
    """STDC1-Seg with its training heads: two of classes, four of boundaries (``detail``, one channel)."""
    net = CellBuilder("image")
    features = stdc_backbone(net)
    context = context_path(net, features)
    fused = feature_fusion(net, (features[8], context[16]), 256, squeeze=64)
    logits = net.bare_conv("head/logits", net.conv("head/conv", fused, 256), None)
    heads = {f"auxiliary{stride}": _output(context[stride], 64) for stride in (16, 32)}
    heads |= {f"detail{stride}": _output(features[stride], 64, 1) for stride in (2, 4, 8, 16)}
    return design("stdc1-seg", net.finish(logits), paper=STDC, source=f"{SOURCE}:models/model_stages.py", heads=heads)


def stdc1() -> ZooEntry:
    """STDC1 as a classifier of ImageNet."""
    net = CellBuilder("image")
    out = net.conv("last/conv", stdc_backbone(net)[32], 1024, 1)
    out = net.add("last/mean", "global_avg_pool", net.add("last/square", "mul", out, out))
    out = net.bare_conv("last/hidden", out, 1024, activation="relu")
    return design(
        "stdc1",
        net.finish(net.bare_conv("last/logits", out, None)),
        paper=STDC,
        source=f"{SOURCE}:nets/stdcnet.py",
        note="the classifier as it runs: a BatchNorm of 1024 channels that the code builds is never used",
        size_hw=(224, 224),
        classes=1000,
    )


def _spatial_fusion(net: CellBuilder, name: str, fine: str, coarse: str, inputs: int, channels: int) -> str:
    """PP-LiteSeg's unified attention fusion with spatial attention: two maps blended by their means and maxima."""
    fine = net.conv(f"{name}/fine", fine, inputs)
    coarse = net.add(f"{name}/up", "resize_bilinear", coarse, fine)
    parts = [
        net.add(f"{name}/{how}_{what}", f"channel_{how}", source)
        for what, source in (("fine", fine), ("coarse", coarse))
        for how in ("mean", "max")
    ]
    weights = net.conv(f"{name}/attend1", net.add(f"{name}/statistics", "concat", *parts), 2)
    weights = net.linear_conv(f"{name}/attend2", weights, 1)
    one = net.add(f"{name}/gate_fine", "gate", fine, weights)
    other = net.add(f"{name}/gate_coarse", "gate", coarse, weights, inverse=True)
    return net.conv(f"{name}/out", net.add(f"{name}/blend", "add", one, other), channels)


def _simple_pyramid(net: CellBuilder, source: str, channels: int) -> str:
    """PP-LiteSeg's pyramid pooling: grids of 1, 2 and 4, each through a 1x1 convolution, resized and added."""
    levels = []
    for bins in (1, 2, 4):
        pooled = net.add(f"context/pool{bins}", "grid_avg_pool", source, bins=bins)
        pooled = net.add(f"context/conv{bins}", "biased_conv_1x1", pooled, channels=channels, stride=1)
        levels.append(net.add(f"context/up{bins}", "resize_bilinear", pooled, source))
    total = net.add("context/add", "add", *levels)
    return net.add("context/out", "biased_conv_3x3", total, channels=channels, stride=1)


def pp_liteseg_t(
    widths: tuple[int, int, int] = (32, 64, 128), head_widths: tuple[int, int, int] = (32, 64, 64)
) -> ZooEntry:
    """PP-LiteSeg-T on STDC1; ``widths`` of the decoder's maps at strides 8, 16 and 32, and of their heads."""
    net = CellBuilder("image")
    features = stdc_backbone(net)
    source, inputs, maps = _simple_pyramid(net, features[32], 128), 128, {}
    for stride, width in zip((32, 16, 8), reversed(widths), strict=True):
        source = maps[stride] = _spatial_fusion(net, f"fuse{stride}", features[stride], source, inputs, width)
        inputs = width
    logits = net.bare_conv("head/logits", net.conv("head/conv", source, head_widths[0]), None)
    return design(
        "pp-liteseg-t",
        net.finish(logits),
        paper="PP-LiteSeg: A Superior Real-Time Semantic Segmentation Model, arXiv 2204.02681",
        source="PaddlePaddle/PaddleSeg@d7975e7cb3:paddleseg/models/pp_liteseg.py",
        heads={f"auxiliary{at}": _output(maps[at], width) for at, width in zip((16, 32), head_widths[1:], strict=True)},
    )
