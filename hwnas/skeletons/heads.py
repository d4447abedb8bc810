"""Heads: what turns the features of any backbone into full-size logits. Here are the registry and the simple ones.

A head is called by its text: a name (``lraspp``) and perhaps, behind a colon, what it is to be like
(``lraspp:width=64``, ``aspp:kind=full,rates=12-24-36``). It is given the backbone's features by stride and takes what
it needs of them. Its nodes are called ``head/…``; the last two are ``classifier`` and ``upsample``, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hwnas.errors import GenotypeError
from hwnas.ir.opgraph import GraphBuilder
from hwnas.registry import Registry
from hwnas.shapes import Value
from hwnas.skeletons.placing import full_size, full_size_logits, resized

AUXILIARY_WIDTH = 64

Features = Mapping[int, str]
"""Stride → the node whose value are the features at that stride."""


class Head(Protocol):
    """Adds its nodes and returns the one that gives the logits in full size, (classes, H, W).

    ``argument`` is the text behind the colon, ``""`` where there is none.
    """

    def __call__(self, builder: GraphBuilder, features: Features, classes: int, argument: str) -> str: ...


HEADS: Registry[Head] = Registry("head", "hwnas.skeletons")


def add_head(builder: GraphBuilder, head: str, features: Features, classes: int) -> str:
    """Add the head with the text ``head`` to ``features``; returns the node of its logits (classes, H, W).

    HwnasError for an unknown head, an argument that it does not understand, and features that it lacks.
    """
    assert features, "a backbone gives features of at least one stride"
    name, _, argument = head.partition(":")
    return HEADS.get(name)(builder, features, classes, argument)


def add_auxiliary(builder: GraphBuilder, source: str, classes: int) -> str:
    """The head on features within a network that only training looks at; returns its logits (classes, H, W)."""
    given: dict[str, Value] = {"channels": AUXILIARY_WIDTH, "classes": classes}
    logits = builder.add("auxiliary/logits", "conv_seg_head", [source], given)
    return resized(builder, "auxiliary/upsample", logits, builder.shape(builder.input)[1:])


def wants_auxiliary(params: Mapping[str, Value], where: str) -> bool:
    """Whether ``params`` ask for the head of :func:`add_auxiliary`; GenotypeError, beginning with ``where``, if their
    ``auxiliary`` is neither true nor false."""
    wanted = params.get("auxiliary", False)
    if not isinstance(wanted, bool):
        raise GenotypeError(f"{where}: auxiliary must be true or false, not {wanted!r}")
    return wanted


def head_options(head: str, argument: str, defaults: Mapping[str, str]) -> dict[str, str]:
    """``"rates=6-12,kind=full"`` as a dictionary over ``defaults``; GenotypeError for what the head does not have."""
    options = dict(defaults)
    for item in filter(None, argument.split(",")):
        key, equals, value = item.partition("=")
        if not equals or key not in defaults or not value:
            raise GenotypeError(
                f"head {head} does not understand {item!r}",
                "its options are: " + ", ".join(f"{name}={value}" for name, value in defaults.items()),
            )
        options[key] = value
    return options


def whole_option(head: str, options: Mapping[str, str], name: str) -> int:
    """An option that must be a whole number of at least 1."""
    text = options[name]
    if not text.isdecimal() or int(text) < 1:
        raise GenotypeError(f"head {head}: {name} must be a whole number of at least 1, not {text!r}")
    return int(text)


def seg_head(builder: GraphBuilder, features: Features, classes: int, argument: str = "") -> str:
    """A 1x1 convolution with bias on the coarsest features."""
    head_options("seg_head", argument, {})
    return full_size_logits(builder, features[max(features)], classes)


def lraspp(builder: GraphBuilder, features: Features, classes: int, argument: str = "") -> str:
    """Lite R-ASPP (MobileNetV3, arXiv 1905.02244), with ``width`` channels (128) on the coarsest features.

    Its map is resized to the finest features from stride 8 on, and the logits of both are added. Where there are none
    but the coarsest, it is the context alone.
    """
    width = whole_option("lraspp", head_options("lraspp", argument, {"width": "128"}), "width")
    coarse = max(features)
    context = builder.add("head/context", "lraspp", [features[coarse]], {"channels": width})
    fine = [stride for stride in sorted(features) if 8 <= stride < coarse]
    if not fine:
        return full_size_logits(builder, context, classes)
    detail = features[fine[0]]
    context = resized(builder, "head/context/resize", context, builder.shape(detail)[1:])
    logits = [
        builder.add("classifier", "seg_head", [context], {"classes": classes}),
        builder.add("head/detail", "seg_head", [detail], {"classes": classes}),
    ]
    return full_size(builder, builder.add("head/sum", "add", logits))


def fpn(builder: GraphBuilder, features: Features, classes: int, argument: str = "") -> str:
    """Feature pyramid (arXiv 1612.03144) with a semantic branch as in arXiv 1901.02446, ``width`` channels (128).

    Each stride is projected by a 1x1 convolution and added to the coarser sum, resized; a 3x3 convolution follows on
    each, and all are resized to the finest and added. (The paper's branch convolves after each doubling of the size.)
    """
    width = whole_option("fpn", head_options("fpn", argument, {"width": "128"}), "width")
    size = builder.shape(features[min(features)])[1:]
    above, levels = "", []
    for stride in sorted(features, reverse=True):
        name = f"head/p{stride}"
        lateral = builder.add(f"{name}/lateral", "conv_1x1", [features[stride]], {"channels": width})
        if above:
            above = resized(builder, f"{name}/resize", above, builder.shape(lateral)[1:])
            lateral = builder.add(f"{name}/sum", "add", [lateral, above])
        above = lateral
        smooth = builder.add(f"{name}/smooth", "conv_3x3", [lateral], {"channels": width})
        levels.append(resized(builder, f"{name}/full", smooth, size))
    return full_size_logits(builder, builder.add("head/sum", "add", levels), classes)


HEADS.register("seg_head", seg_head)
HEADS.register("lraspp", lraspp)
HEADS.register("fpn", fpn)
