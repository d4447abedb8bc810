"""BiSeNet (arXiv 1808.00897) on ResNet-18 and BiSeNetV2 (arXiv 2004.02147), as CoinCheung/BiSeNet has them."""

from __future__ import annotations

from hwnas.ir.cell import Cell
from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design

SOURCE = "CoinCheung/BiSeNet@6b4b67a8e3:lib/models"


def attention_refinement(net: CellBuilder, name: str, source: str, channels: int) -> str:
    """A 3x3 convolution whose channels are gated by their means."""
    features = net.conv(f"{name}/conv", source, channels)
    means = net.add(f"{name}/mean", "global_avg_pool", features)
    return net.add(f"{name}/gate", "gate", features, net.linear_conv(f"{name}/attend", means, channels, 1))


def feature_fusion(net: CellBuilder, sources: tuple[str, str], channels: int, *, squeeze: int) -> str:
    """Concatenation, 1x1 convolution, and its channels gated by their means, added.

    The means go through two convolutions with ``squeeze`` channels between them, or with 0 through one with BatchNorm.
    """
    features = net.conv("fuse/conv", net.add("fuse/concat", "concat", *sources), channels, 1)
    means = net.add("fuse/mean", "global_avg_pool", features)
    if squeeze:
        squeezed = net.bare_conv("fuse/squeeze", means, squeeze, activation="relu")
        weights = net.bare_conv("fuse/excite", squeezed, channels)
    else:
        weights = net.linear_conv("fuse/attend", means, channels, 1)
    return net.add("fuse/add", "add", net.add("fuse/gate", "gate", features, weights), features)


def context_path(net: CellBuilder, features: dict[int, str], channels: int = 128) -> dict[int, str]:
    """BiSeNet's decoder from strides 32 and 16: stride → features, of which 16 is upsampled to 8 and 32 to 16."""
    means = net.add("context/mean", "global_avg_pool", features[32])
    means = net.conv("context/mean_conv", means, channels, 1)
    tail = net.add("context/mean_up", "resize_nearest", means, features[32])
    outputs = {}
    for stride, larger in ((32, 16), (16, 8)):
        refined = attention_refinement(net, f"context/arm{stride}", features[stride], channels)
        total = net.add(f"context/sum{stride}", "add", refined, tail)
        tail = net.add(f"context/up{stride}", "resize_nearest", total, features[larger])
        tail = outputs[stride] = net.conv(f"context/head{stride}", tail, channels)
    return outputs


def resnet18(net: CellBuilder, source: str) -> dict[int, str]:
    """ResNet-18 without its classifier: stride → features."""
    source = net.conv("resnet/stem", source, 64, 7, stride=2)
    source = net.add("resnet/pool", "max_pool_3x3", source, stride=2)
    features = {}
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        for block in (1, 2):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"resnet/stage{stage}_{block}"
            source = net.add(name, "basic_block", source, channels=channels, stride=stride)
        features[2 ** (stage + 1)] = source
    return features


def bisenet_r18() -> ZooEntry:
    """BiSeNet on ResNet-18."""
    net = CellBuilder("image")
    context = context_path(net, resnet18(net, "image"))
    spatial = net.conv("spatial/conv1", "image", 64, 7, stride=2)
    for index in (2, 3):
        spatial = net.conv(f"spatial/conv{index}", spatial, 64, stride=2)
    spatial = net.conv("spatial/out", spatial, 128, 1)
    fused = feature_fusion(net, (spatial, context[16]), 256, squeeze=0)
    logits = net.add("head", "conv_seg_head", fused, channels=256)
    return design(
        "bisenet-r18",
        net.finish(logits),
        paper="BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation, arXiv 1808.00897",
        source=f"{SOURCE}/bisenetv1.py",
        heads={f"auxiliary{stride}": _output(context[stride]) for stride in (16, 32)},
    )


def _output(source: str) -> Cell:
    head = CellBuilder(source)
    return head.finish(head.add("logits", "conv_seg_head", source, channels=64))


def _gather_expand(net: CellBuilder, name: str, source: str, inputs: int, channels: int, stride: int) -> str:
    """BiSeNetV2's gather-and-expansion layer, whose depthwise convolutions expand by 6."""
    hidden = 6 * inputs
    out = net.conv(f"{name}/conv", source, inputs)
    shortcut = source
    if stride == 2:
        out = net.linear_conv(f"{name}/expand", out, hidden, groups=inputs, stride=2)
        out = net.conv(f"{name}/dw", out, hidden, groups=hidden)
        shortcut = net.linear_conv(f"{name}/shortcut_dw", source, inputs, groups=inputs, stride=2)
        shortcut = net.linear_conv(f"{name}/shortcut", shortcut, channels, 1)
    else:
        out = net.conv(f"{name}/expand", out, hidden, groups=inputs)
    out = net.linear_conv(f"{name}/project", out, channels, 1)
    return net.add(f"{name}/relu", "relu", net.add(f"{name}/add", "add", out, shortcut))


def _detail_branch(net: CellBuilder) -> str:
    source = "image"
    for stage, (channels, depth) in enumerate(((64, 2), (64, 3), (128, 3)), start=1):
        for index in range(depth):
            source = net.conv(f"detail/stage{stage}_{index + 1}", source, channels, stride=1 if index else 2)
    return source


def _semantic_branch(net: CellBuilder) -> dict[str, str]:
    """Stage → features, of the semantic branch."""
    stem = net.conv("stem/conv", "image", 16, stride=2)
    left = net.conv("stem/left2", net.conv("stem/left1", stem, 8, 1), 16, stride=2)
    joined = net.add("stem/concat", "concat", left, net.add("stem/pool", "max_pool_3x3", stem, stride=2))
    source = net.conv("stem/fuse", joined, 16)
    features, inputs = {"2": source}, 16
    for stage, (channels, depth) in {"3": (32, 2), "4": (64, 2), "5": (128, 4)}.items():
        for index in range(depth):
            name = f"semantic/stage{stage}_{index + 1}"
            source = _gather_expand(net, name, source, inputs, channels, 1 if index else 2)
            inputs = channels
        features[stage] = source
    means = net.add("semantic/mean", "global_avg_pool", source)
    means = net.add("semantic/mean_bn", "batch_norm", means, activation="none")
    means = net.conv("semantic/mean_conv", means, 128, 1)
    features["context"] = net.conv("semantic/context", net.add("semantic/add", "add", means, source), 128)
    return features


def _guided_aggregation(net: CellBuilder, detail: str, semantic: str) -> str:
    left = net.linear_conv("bga/detail_dw", detail, 128, groups=128)
    left = net.bare_conv("bga/detail", left, 128)
    small = net.linear_conv("bga/detail_small_conv", detail, 128, stride=2)
    small = net.add("bga/detail_small", "padded_avg_pool", small, kernel=3, stride=2)
    gate = net.linear_conv("bga/semantic_conv", semantic, 128)
    gate = net.add("bga/semantic_up", "resize_nearest", gate, detail)
    right = net.linear_conv("bga/semantic_dw", semantic, 128, groups=128)
    right = net.bare_conv("bga/semantic", right, 128)
    guided = net.add("bga/gate_detail", "gate", left, gate)
    coarse = net.add("bga/up", "resize_nearest", net.add("bga/gate_semantic", "gate", small, right), detail)
    return net.conv("bga/conv", net.add("bga/add", "add", guided, coarse), 128)


def _booster(source: str, larger: str, stride: int) -> Cell:
    """BiSeNetV2's training head at a stride: 3x3 convolution, resized to the larger map, 3x3 again, 1x1 with bias."""
    head = CellBuilder(source, larger)
    out = head.add("up", "resize_nearest", head.conv("conv", source, 128), larger)
    return head.finish(head.add("logits", "seg_head", head.conv("conv2", out, stride * stride)))


def bisenetv2() -> ZooEntry:
    """BiSeNetV2."""
    net = CellBuilder("image")
    detail, semantic = _detail_branch(net), _semantic_branch(net)
    fused = _guided_aggregation(net, detail, semantic["context"])
    logits = net.add("head", "conv_seg_head", fused, channels=1024)
    larger = {"2": "stem/conv", "3": semantic["2"], "4": semantic["3"], "5": semantic["4"]}
    boosters = {f"auxiliary{at}": _booster(semantic[at], larger[at], 2 ** int(at)) for at in larger}
    return design(
        "bisenetv2",
        net.finish(logits),
        paper="BiSeNet V2: Bilateral Network with Guided Aggregation, arXiv 2004.02147",
        source=f"{SOURCE}/bisenetv2.py",
        note="a reimplementation: the paper gives no code; the head is 1024 channels wide",
        heads=boosters,
    )
