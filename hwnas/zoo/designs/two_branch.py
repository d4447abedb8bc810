"""Networks of parallel branches behind their first stages: DDRNet-23-slim (arXiv 2101.06085), PIDNet-S (2206.02066)."""

from __future__ import annotations

from hwnas.ir.cell import Cell
from hwnas.shapes import Value
from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design


def stem(net: CellBuilder, width: int) -> str:
    """Two 3x3 convolutions with stride 2, with bias before their BatchNorms."""
    first = net.add("stem/conv1", "biased_conv_3x3", "image", channels=width, stride=2)
    return net.add("stem/conv2", "biased_conv_3x3", first, channels=width, stride=2)


def _residual(net: CellBuilder, name: str, source: str, inputs: int, out: str, channels: int, stride: int) -> str:
    """The sum of ``out`` and the shortcut, not rectified."""
    if stride != 1 or inputs != channels:
        source = net.linear_conv(f"{name}/shortcut", source, channels, 1, stride=stride)
    return net.add(f"{name}/add", "add", out, source)


def basic(net: CellBuilder, name: str, source: str, inputs: int, channels: int, stride: int = 1) -> str:
    """ResNet's basic block without its last ReLU."""
    out = net.linear_conv(f"{name}/conv2", net.conv(f"{name}/conv1", source, channels, stride=stride), channels)
    return _residual(net, name, source, inputs, out, channels, stride)


def basics(net: CellBuilder, name: str, source: str, inputs: int, channels: int, depth: int, stride: int = 1) -> str:
    """``depth`` basic blocks, of which the last is not rectified; the first strides."""
    for index in range(1, depth + 1):
        if index < depth:
            source = net.add(f"{name}_{index}", "basic_block", source, channels=channels, stride=stride)
        else:
            source = basic(net, f"{name}_{index}", source, inputs, channels, stride)
        inputs, stride = channels, 1
    return source


def bottleneck(net: CellBuilder, name: str, source: str, inputs: int, hidden: int, stride: int = 1) -> str:
    """ResNet's bottleneck that doubles ``hidden``, without its last ReLU."""
    out = net.conv(f"{name}/conv2", net.conv(f"{name}/conv1", source, hidden, 1), hidden, stride=stride)
    out = net.linear_conv(f"{name}/conv3", out, 2 * hidden, 1)
    return _residual(net, name, source, inputs, out, 2 * hidden, stride)


def relu(net: CellBuilder, source: str) -> str:
    """The rectified ``source``."""
    return net.add(f"{source}_relu", "relu", source)


def preact(net: CellBuilder, name: str, source: str, channels: int, kernel: int = 1, groups: int = 1) -> str:
    """BatchNorm, ReLU, convolution."""
    return net.bare_conv(name, net.add(f"{name}_bn", "batch_norm", source), channels, kernel, groups=groups)


def pyramid_maps(net: CellBuilder, source: str, width: int) -> list[str]:
    """DDRNet's and PIDNet's pyramid: the map itself and its means over growing windows, projected and resized back."""
    maps = [preact(net, "context/scale0", source, width)]
    for index, (kernel, stride) in enumerate(((5, 2), (9, 4), (17, 8), (0, 0)), start=1):
        name = f"context/pool{index}"
        if kernel:
            pooled = net.add(name, "padded_avg_pool", source, kernel=kernel, stride=stride)
        else:
            pooled = net.add(name, "global_avg_pool", source)
        projected = preact(net, f"context/scale{index}", pooled, width)
        maps.append(net.add(f"context/up{index}", "resize_bilinear", projected, source))
    return maps


def deep_pyramid(net: CellBuilder, source: str, width: int, channels: int) -> str:
    """DAPPM: each scale is added to the last and convolved."""
    first, *others = pyramid_maps(net, source, width)
    scales = [first]
    for index, scale in enumerate(others, start=1):
        total = net.add(f"context/sum{index}", "add", scale, scales[-1])
        scales.append(preact(net, f"context/process{index}", total, width, 3))
    return _compressed(net, source, scales, channels)


def parallel_pyramid(net: CellBuilder, source: str, width: int, channels: int) -> str:
    """PAPPM: each scale is added to the map itself; one grouped convolution processes them all."""
    first, *others = pyramid_maps(net, source, width)
    sums = [net.add(f"context/sum{index}", "add", scale, first) for index, scale in enumerate(others, start=1)]
    joined = net.add("context/sums", "concat", *sums)
    processed = preact(net, "context/process", joined, width * len(sums), 3, groups=len(sums))
    return _compressed(net, source, [first, processed], channels)


def _compressed(net: CellBuilder, source: str, scales: list[str], channels: int) -> str:
    squeezed = preact(net, "context/compress", net.add("context/concat", "concat", *scales), channels)
    return net.add("context/add", "add", squeezed, preact(net, "context/shortcut", source, channels))


def seg_head(net: CellBuilder, source: str, hidden: int, classes: int | None = None, prefix: str = "") -> str:
    """BatchNorm, ReLU, 3x3 convolution, BatchNorm, ReLU, 1x1 convolution with bias; ``None`` are the data's classes."""
    out = preact(net, f"{prefix}conv", source, hidden, 3)
    out = net.add(f"{prefix}norm", "batch_norm", out)
    given: dict[str, Value] = {} if classes is None else {"classes": classes}
    return net.add(f"{prefix}logits", "seg_head", out, **given)


def training_head(source: str, hidden: int, classes: int | None = None) -> Cell:
    """The same head as a cell."""
    head = CellBuilder(source)
    return head.finish(seg_head(head, source, hidden, classes))


def ddrnet_23_slim(width: int = 32, context_width: int = 128, head_width: int = 64) -> ZooEntry:
    """DDRNet-23-slim; at the wider ``width`` 64 and ``head_width`` 128 it is DDRNet-23."""
    net, high_width = CellBuilder("image"), 2 * width
    source = relu(net, basics(net, "stage4", stem(net, width), width, width, 2))
    shared = relu(net, basics(net, "stage8", source, width, 2 * width, 2, stride=2))
    low, high, inputs = shared, shared, 2 * width
    taps = []
    for stage, stride in ((3, 16), (4, 32)):
        channels = 2 * inputs
        low = basics(net, f"low{stride}", low, inputs, channels, 2, stride=2)
        high = basics(net, f"high{stage}", high, high_width, high_width, 2)
        down = relu(net, high)
        if stage == 4:
            down = net.conv("fuse4/down1", down, inputs, stride=2)
        down = net.linear_conv(f"fuse{stage}/down", down, channels, stride=2)
        up = net.linear_conv(f"fuse{stage}/compress", relu(net, low), high_width, 1)
        up = net.add(f"fuse{stage}/up", "resize_bilinear", up, high)
        low = relu(net, net.add(f"fuse{stage}/low", "add", low, down))
        taps.append(net.add(f"fuse{stage}/high", "add", high, up))
        high, inputs = relu(net, taps[-1]), channels
    high = bottleneck(net, "high5", high, high_width, high_width)
    low = bottleneck(net, "low64", low, inputs, inputs, stride=2)
    context = deep_pyramid(net, low, context_width, 4 * width)
    context = net.add("head/up", "resize_bilinear", context, high)
    logits = seg_head(net, net.add("head/add", "add", context, high), head_width, prefix="head/")
    return design(
        "ddrnet-23-slim",
        net.finish(logits),
        paper="DDRNet: Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation of Road Scenes, "
        "arXiv 2101.06085",
        source="ydhongHIT/DDRNet@de0db317c5:segmentation/DDRNet_23_slim.py",
        heads={"auxiliary3": training_head(taps[0], head_width)},
    )


def _attended(net: CellBuilder, name: str, fine: str, coarse: str, hidden: int) -> str:
    """PIDNet's pixel attention: ``fine`` and ``coarse`` blended by how much their projections agree."""
    query = net.linear_conv(f"{name}/query", coarse, hidden, 1)
    query = net.add(f"{name}/query_up", "resize_bilinear", query, fine)
    product = net.add(f"{name}/product", "mul", net.linear_conv(f"{name}/key", fine, hidden, 1), query)
    weights = net.add(f"{name}/agreement", "channel_sum", product)
    coarse = net.add(f"{name}/up", "resize_bilinear", coarse, fine)
    kept = net.add(f"{name}/gate_fine", "gate", fine, weights, inverse=True)
    return net.add(f"{name}/add", "add", kept, net.add(f"{name}/gate_coarse", "gate", coarse, weights))


def _boundary_fusion(net: CellBuilder, detail: str, context: str, boundary: str, channels: int) -> str:
    """PIDNet's light boundary-attention-guided fusion: details at boundaries, context elsewhere."""
    inside = net.add("fuse/inside", "gate", context, boundary, inverse=True)
    border = net.add("fuse/border", "gate", detail, boundary)
    one = net.linear_conv("fuse/detail", net.add("fuse/detail_sum", "add", inside, detail), channels, 1)
    other = net.linear_conv("fuse/context", net.add("fuse/context_sum", "add", context, border), channels, 1)
    return net.add("fuse/add", "add", one, other)


def pidnet_s(width: int = 32, context_width: int = 96, head_width: int = 128) -> ZooEntry:
    """PIDNet-S; at ``width`` 64 it is PIDNet-M."""
    net, high = CellBuilder("image"), 2 * width
    source = relu(net, basics(net, "stage4", stem(net, width), width, width, 2))
    shared = relu(net, basics(net, "stage8", source, width, high, 2, stride=2))
    low16 = relu(net, basics(net, "low16", shared, high, 4 * width, 3, stride=2))
    low32 = relu(net, basics(net, "low32", low16, 4 * width, 8 * width, 3, stride=2))

    detail = basics(net, "detail3", shared, high, high, 2)
    detail = _attended(net, "pag3", detail, net.linear_conv("pag3/compress", low16, high, 1), width)
    first_detail = detail
    detail = basics(net, "detail4", relu(net, detail), high, high, 2)
    detail = _attended(net, "pag4", detail, net.linear_conv("pag4/compress", low32, high, 1), width)
    detail = bottleneck(net, "detail5", relu(net, detail), high, high)

    boundary = basic(net, "boundary3", shared, high, width)
    boundary = _with_difference(net, "boundary3/difference", boundary, low16, width)
    boundary = bottleneck(net, "boundary4", relu(net, boundary), width, width)
    boundary = last_boundary = _with_difference(net, "boundary4/difference", boundary, low32, high)
    boundary = bottleneck(net, "boundary5", relu(net, boundary), high, high)

    low = bottleneck(net, "low64_1", low32, 8 * width, 8 * width, stride=2)
    low = bottleneck(net, "low64_2", low, 16 * width, 8 * width)
    context = net.add("context/up", "resize_bilinear", parallel_pyramid(net, low, context_width, 4 * width), detail)
    fused = _boundary_fusion(net, detail, context, boundary, 4 * width)
    return design(
        "pidnet-s",
        net.finish(seg_head(net, fused, head_width, prefix="head/")),
        paper="PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers, arXiv 2206.02066",
        source="XuJiacong/PIDNet@4c158cf24c:models/pidnet.py",
        heads={
            "auxiliary3": training_head(first_detail, head_width),
            "boundary4": training_head(last_boundary, width, 1),
        },
    )


def _with_difference(net: CellBuilder, name: str, source: str, low: str, channels: int) -> str:
    """``source`` and a 3x3 convolution of the coarser map, resized, added."""
    convolved = net.linear_conv(f"{name}/conv", low, channels)
    return net.add(f"{name}/add", "add", source, net.add(f"{name}/up", "resize_bilinear", convolved, source))
