"""DeepLab's heads: a context module on the coarsest features and DeepLabv3+'s decoder (arXiv 1802.02611).

As in the authors' code (tensorflow/models, research/deeplab/model.py). There, bilinear resizing aligns corners; here,
as everywhere in this project, it does not: the operation counts are the same.
"""

from __future__ import annotations

from hwnas.errors import GenotypeError
from hwnas.ir.opgraph import GraphBuilder
from hwnas.skeletons.heads import HEADS, Features, head_options, whole_option
from hwnas.skeletons.placing import full_size_logits, resized

LOW_LEVEL_WIDTH = 48
KINDS = {"separable": "ds_conv_3x3", "full": "conv_3x3"}


def aspp(builder: GraphBuilder, features: Features, classes: int, argument: str = "") -> str:
    """Atrous spatial pyramid pooling and the decoder.

    Options: ``rates`` of the 3x3 convolutions (``12-24-36``, ``none``; ``auto`` is 96/s, 192/s and 288/s on features of
    stride s), their ``kind`` (``separable`` or ``full``), ``width`` of all branches (256), and the ``decoder``: the
    stride of the low-level features, or ``none``; where the backbone has no features of that stride there is none.
    """
    defaults = {"rates": "auto", "kind": "separable", "width": "256", "decoder": "4"}
    options = head_options("aspp", argument, defaults)
    stride = max(features)
    width, source = whole_option("aspp", options, "width"), features[stride]
    pooled = builder.add("head/pool", "global_avg_pool", [source])
    pooled = builder.add("head/pool/conv", "conv_1x1", [pooled], {"channels": width})
    branches = [
        resized(builder, "head/pool/resize", pooled, builder.shape(source)[1:]),
        builder.add("head/aspp0", "conv_1x1", [source], {"channels": width}),
    ]
    for index, rate in enumerate(_rates(options["rates"], stride), start=1):
        check_rate(builder, source, rate)
        params = {"channels": width, "dilation": rate}
        branches.append(builder.add(f"head/aspp{index}", conv_of_kind("aspp", options["kind"]), [source], params))
    context = builder.add("head/concat", "concat", branches)
    context = builder.add("head/project", "conv_1x1", [context], {"channels": width})
    return decoded(builder, context, features, classes, head="aspp", decoder=options["decoder"], kind=options["kind"])


def decoded(
    builder: GraphBuilder, context: str, features: Features, classes: int, *, head: str, decoder: str, kind: str
) -> str:
    """DeepLabv3+'s decoder on ``context``: joined with low-level features, two 3x3 convolutions; then the classifier.

    ``decoder`` is the low-level features' stride as text; ``none``, or a stride that is not there, leaves it out.
    """
    stride = whole_option(head, {"decoder": decoder}, "decoder") if decoder != "none" else 0
    if stride not in features or stride == max(features):
        return full_size_logits(builder, context, classes)
    channels, (_, height, width) = builder.shape(context)[0], builder.shape(builder.input)
    size = (-(-height // stride), -(-width // stride))
    low = builder.add("head/low", "conv_1x1", [features[stride]], {"channels": LOW_LEVEL_WIDTH})
    low = resized(builder, "head/low/resize", low, size)
    joined = builder.add("head/join", "concat", [resized(builder, "head/resize", context, size), low])
    for index in range(2):
        joined = builder.add(f"head/refine{index}", conv_of_kind(head, kind), [joined], {"channels": channels})
    return full_size_logits(builder, joined, classes)


def conv_of_kind(head: str, kind: str) -> str:
    """The op of a head's 3x3 convolutions."""
    if kind not in KINDS:
        raise GenotypeError(f"head {head}: kind must be {' or '.join(KINDS)}, not {kind!r}")
    return KINDS[kind]


def check_rate(builder: GraphBuilder, source: str, rate: int) -> None:
    """GenotypeError where a 3x3 convolution of that dilation on ``source`` would see but its middle and padding."""
    _, height, width = builder.shape(source)
    if rate > 1 and rate >= min(height, width):
        raise GenotypeError(
            f"head aspp: features of {height}x{width} pixels are too small for a dilation of {rate}",
            "use larger images, or give the head smaller rates, as in aspp:rates=2-4-6",
        )


def _rates(text: str, stride: int) -> tuple[int, ...]:
    if text == "none":
        return ()
    if text == "auto":
        return tuple(max(1, scale // stride) for scale in (96, 192, 288))
    return tuple(whole_option("aspp", {"rates": rate}, "rates") for rate in text.split("-"))


HEADS.register("aspp", aspp)
