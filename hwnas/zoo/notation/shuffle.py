"""SPOS's and DetNAS's notation: a list of numbers from 0 to 3, the choice of each block in turn.

0, 1 and 2 are shuffle blocks with kernel 3, 5 and 7, 3 is the xception block. SPOS's channel search adds a second list,
of the blocks' widths inside relative to half of their output's: ``{"architecture": […], "channels_scales": […]}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.spaces.spos import BLOCKS, ShuffleNet, shuffle_genotype
from hwnas.zoo.notation.chains import chain_of
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation


@dataclass(frozen=True)
class Published:
    """A macro-architecture, and what its skeleton's head is."""

    net: ShuffleNet
    params: Mapping[str, Value]


BACKBONE: Mapping[str, Value] = {"head": "none"}
NETS = {
    "spos-imagenet": Published(ShuffleNet(tail=1024), {"head": "classify", "classifier_bias": False}),
    "detnas-300m": Published(ShuffleNet(biased_stem=True), BACKBONE),
    "detnas-1.3g": Published(ShuffleNet((8, 8, 16, 8), (48, 96, 240, 480, 960), biased_stem=True), BACKBONE),
    "detnas-3.8g": Published(ShuffleNet((8, 8, 16, 8), (72, 172, 432, 864, 1728), biased_stem=True), BACKBONE),
}
"""DetNAS's are backbones without the detector."""


def read_shuffle(text: str, name: str, published: Published) -> Genotype:
    """The genotype of an architecture's text."""
    found = read_literals(text)
    blocks = found.get("architecture", found.get(""))
    if blocks is None and len(found) == 1:
        (blocks,) = found.values()
    scales = found.get("channels_scales", [])
    if not isinstance(blocks, list) or not all(type(block) is int for block in blocks):
        raise GenotypeError("the notation is a list of numbers from 0 to 3, one for each block")
    if not isinstance(scales, list) or not all(type(scale) in (int, float) and scale > 0 for scale in scales):
        raise GenotypeError("channels_scales must be a list of positive numbers")
    return shuffle_genotype(name, published.net, blocks, dict(published.params), scales)


def write_shuffle(genotype: Genotype, published: Published) -> str:
    """The list of a genotype's blocks, as JSON; GenotypeError for what is not of this macro-architecture."""
    blocks = chain_of(genotype)[1]
    unknown = sorted({block.op for block in blocks} - set(BLOCKS))
    if unknown:
        raise GenotypeError(f"{genotype.name}: the notation has no {unknown[0]}")
    numbers = [BLOCKS.index(block.op) for block in blocks]
    hidden = [(int(str(block.params["hidden"])), block.channels // 2) for block in blocks if "hidden" in block.params]
    scales = [round((inside + 1e-6) / half, 9) for inside, half in hidden]  # rounded down again when read
    if shuffle_genotype(genotype.name, published.net, numbers, dict(published.params), scales) != genotype:
        raise GenotypeError(f"{genotype.name} differs from the published macro-architecture: only blocks can be told")
    document = {"architecture": numbers, "channels_scales": scales} if scales else numbers
    return json.dumps(document) + "\n"


for _name, _published in NETS.items():
    NOTATIONS.register(
        _name,
        Notation(
            partial(read_shuffle, published=_published),
            partial(write_shuffle, published=_published),
            (224, 224) if _name == "spos-imagenet" else (800, 1088),
            1000 if _name == "spos-imagenet" else 80,
        ),
    )
