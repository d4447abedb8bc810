"""MobileNetV2 (arXiv 1801.04381) as the fixed encoder of Nekrasov et al.'s decoders (DrSleep/nas-segm-pytorch)."""

from __future__ import annotations

from hwnas.ir.opgraph import GraphBuilder
from hwnas.shapes import Value

STEM = 32
LAYERS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""(expansion, channels, blocks, stride of the first) of each layer."""


def mobilenet_v2(builder: GraphBuilder, taken: tuple[int, ...]) -> list[str]:
    """Add the encoder as far as the last of the layers ``taken``; returns the nodes of their outputs, in that order.

    Its first block has a 1x1 convolution although it expands nothing, as in the authors' code.
    """
    stem: dict[str, Value] = {"channels": STEM, "stride": 2, "activation": "relu6"}
    source = builder.add("encoder/stem", "conv_3x3", [builder.input], stem)
    outputs = []
    for layer, (expansion, channels, blocks, first_stride) in enumerate(LAYERS[: max(taken) + 1]):
        for block in range(1, blocks + 1):
            params: dict[str, Value] = {
                "channels": channels,
                "expansion": expansion,
                "stride": first_stride if block == 1 else 1,
                "always_expand": expansion == 1,
            }
            source = builder.add(f"encoder/layer{layer}/block{block}", "inverted_residual_3x3", [source], params)
        outputs.append(source)
    return [outputs[layer] for layer in taken]
