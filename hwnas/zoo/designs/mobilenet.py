"""LR-ASPP on MobileNetV3-Large (arXiv 1905.02244), as torchvision has it: the last stage dilated, output stride 16."""

from __future__ import annotations

from hwnas.shapes import Value
from hwnas.zoo.catalog import ZooEntry
from hwnas.zoo.designs.builder import CellBuilder, design
from hwnas.zoo.designs.regseg import squeeze_excite

BLOCKS = (
    (3, 16, 16, False, "relu", 1, 1),
    (3, 64, 24, False, "relu", 2, 1),
    (3, 72, 24, False, "relu", 1, 1),
    (5, 72, 40, True, "relu", 2, 1),
    (5, 120, 40, True, "relu", 1, 1),
    (5, 120, 40, True, "relu", 1, 1),
    (3, 240, 80, False, "hswish", 2, 1),
    (3, 200, 80, False, "hswish", 1, 1),
    (3, 184, 80, False, "hswish", 1, 1),
    (3, 184, 80, False, "hswish", 1, 1),
    (3, 480, 112, True, "hswish", 1, 1),
    (3, 672, 112, True, "hswish", 1, 1),
    (5, 672, 160, True, "hswish", 1, 2),
    (5, 960, 160, True, "hswish", 1, 2),
    (5, 960, 160, True, "hswish", 1, 2),
)
"""(kernel, expanded channels, output channels, squeeze-and-excitation, activation, stride, dilation)."""
LOW = 3
"""The block whose output are the finer features."""


def divisible(channels: float, divisor: int = 8) -> int:
    """MobileNet's rounding to a multiple that is at most a tenth smaller."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _block(
    net: CellBuilder, name: str, source: str, inputs: int, block: tuple[int, int, int, bool, str, int, int]
) -> str:
    kernel, hidden, channels, excites, activation, stride, dilation = block
    out = source if hidden == inputs else net.conv(f"{name}/expand", source, hidden, 1, activation=activation)
    given: dict[str, Value] = {"stride": stride, "dilation": dilation, "activation": activation}
    out = net.add(f"{name}/dw", f"dw_conv_{kernel}x{kernel}", out, **given)
    if excites:
        out = squeeze_excite(net, name, out, hidden, divisible(hidden // 4), "hsigmoid")
    out = net.linear_conv(f"{name}/project", out, channels, 1)
    return net.add(f"{name}/add", "add", out, source) if stride == 1 and inputs == channels else out


def lraspp_mobilenet_v3() -> ZooEntry:
    """LR-ASPP with 128 channels."""
    net = CellBuilder("image")
    source, inputs, outputs = net.conv("stem", "image", 16, stride=2, activation="hswish"), 16, []
    for index, block in enumerate(BLOCKS, start=1):
        source = _block(net, f"block{index}", source, inputs, block)
        inputs = block[2]
        outputs.append(source)
    high = net.conv("last", source, 960, 1, activation="hswish")
    high = net.add("head/context", "lraspp", high, channels=128)
    high = net.add("head/up", "resize_bilinear", high, outputs[LOW])
    low = net.add("head/low_logits", "seg_head", outputs[LOW])
    return design(
        "lraspp-mobilenet-v3",
        net.finish(net.add("head/add", "add", low, net.add("head/high_logits", "seg_head", high))),
        paper="Searching for MobileNetV3, arXiv 1905.02244",
        source="pytorch/vision: torchvision/models/segmentation/lraspp.py, mobilenetv3.py",
        size_hw=(520, 520),
        classes=21,
    )
