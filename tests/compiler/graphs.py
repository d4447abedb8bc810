"""Op graphs to compile: one with every kind of op, and random ones."""

from __future__ import annotations

import numpy as np

from hwnas.errors import GenotypeError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ops.spec import OPS
from hwnas.shapes import Value


def small_graph(height: int = 45, width: int = 61) -> OpGraph:
    """Encoder, context, fusion and head, with odd sizes and an input read twice by one node."""
    builder = GraphBuilder((3, height, width))
    stem = builder.add("stem/conv", "conv_3x3", ["image"], {"channels": 8, "stride": 2, "activation": "hswish"})
    block = builder.add("stage1/block0", "mbconv_e4_k5", [stem], {"channels": 12, "stride": 2})
    block = builder.add("stage1/block1", "mbconv_e4_k5", [block], {"channels": 12})
    deep = builder.add("stage2/block0", "basic_block", [block], {"channels": 16, "dilation": 2})
    context = builder.add("context/pool", "pyramid_pool", [deep], {"channels": 16, "bins": (1, 2, 5)})
    context = builder.add("context/sum", "add", [context, deep, deep], {})
    gate = builder.add("decoder/gate", "lraspp", [context], {"channels": 8})
    size: dict[str, Value] = {"height": builder.shape(stem)[1], "width": builder.shape(stem)[2]}
    large = builder.add("decoder/up", "resize_bilinear", [gate], size)
    joined = builder.add("decoder/join", "concat", [large, stem], {})
    head = builder.add("head/logits", "seg_head", [joined], {"classes": 5})
    return builder.finish(builder.add("output", "resize_bilinear", [head], {"height": height, "width": width}))


def random_graph(seed: int, nodes: int = 14) -> OpGraph:
    """Ops of all names on values drawn at random; some values are read by none."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder((3, int(rng.integers(12, 20)), int(rng.integers(12, 20))))
    values = [builder.input]
    for index in range(nodes):
        spec = OPS.get(str(rng.choice(OPS.names())))
        first = values[int(rng.integers(max(0, len(values) - 4), len(values)))]
        inputs = [first] * (spec.arity or 1)
        if spec.arity is None:
            alike = [value for value in values if builder.shape(value) == builder.shape(first)]
            inputs += [alike[int(rng.integers(len(alike)))] for _ in range(int(rng.integers(0, 3)))]
        options: dict[str, Value] = {"channels": int(rng.integers(1, 5)) * 2, "classes": 4, "height": 13, "width": 12}
        options |= {"bins": (1, 2), "stride": int(rng.integers(1, 3)) if min(builder.shape(first)[1:]) > 6 else 1}
        params = {key: value for key, value in options.items() if key in spec.defaults}
        try:
            values.append(builder.add(f"part{index // 3}/node{index}", spec.name, inputs, params))
        except GenotypeError:  # some ops are particular about their inputs
            values.append(builder.add(f"part{index // 3}/node{index}", "skip_connect", inputs[:1]))
    return builder.finish(values[-1])


def auxiliary_graph() -> OpGraph:
    """A classifier with a head for training alone, which the main output's own features feed."""
    builder = GraphBuilder((3, 12, 14))
    features = builder.add("features", "conv_3x3", ["image"], {"channels": 6, "stride": 2})
    early = builder.add("auxiliary/logits", "seg_head", [features], {"classes": 5})
    pooled = builder.add("pool", "global_avg_pool", [features])
    return builder.finish(builder.add("classifier", "seg_head", [pooled], {"classes": 5}), [early])
