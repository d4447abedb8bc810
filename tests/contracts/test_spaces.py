"""The space contract on every registered space.

Random genotypes of a space as it is registered are checked without torch; those that are compiled come from a narrow
twin of the space, listed in ``NARROW``: the same choices over fewer channels.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwnas.skeletons.base import expand
from hwnas.spaces.auto_deeplab import AutoDeepLabSpace
from hwnas.spaces.base import SPACES, SearchSpace
from hwnas.spaces.cas import CASSpace
from hwnas.spaces.crnas import FAMILIES, CRNASSpace
from hwnas.spaces.darts import DartsSpace
from hwnas.spaces.dpc import DPCSpace
from hwnas.spaces.fasterseg import FasterSegSpace
from hwnas.spaces.gas import GASSpace
from hwnas.spaces.mbconv import MBConvSpace
from hwnas.spaces.nasnet import NasnetSpace
from hwnas.spaces.spos import ShuffleNet, SposSpace
from tests.contracts import space_contract as contract

SIZE = (360, 480)
SHUFFLE = (4, 8, 16, 24, 32)
LRASPP = {"head": "lraspp:width=8", "dilated_stages": 1}
NARROW: dict[str, SearchSpace] = {
    "spos": SposSpace("spos", ShuffleNet(channels=SHUFFLE), LRASPP),
    "spos-imagenet": SposSpace("spos-imagenet", ShuffleNet(channels=SHUFFLE, tail=16), {"head": "classify"}),
    "mbconv": MBConvSpace("mbconv", LRASPP, shrink=4),
    "mbconv-imagenet": MBConvSpace("mbconv-imagenet", {"head": "classify"}, tail=16, shrink=4),
    **{name: CRNASSpace(name, family, "fpn:width=8", 8) for name, family in FAMILIES.items()},
    "darts": DartsSpace(params={"channels": 4, "layers": 3, "head": "lraspp:width=8"}),
    "nasnet": NasnetSpace(params={"channels": 4, "layers": 3, "head": "lraspp:width=8"}),
    "auto-deeplab": AutoDeepLabSpace(
        layers=5, blocks=2, filters=2, head="aspp:width=8,rates=1-2,kind=full,decoder=none"
    ),
    "auto-deeplab-small": AutoDeepLabSpace(
        layers=5, blocks=2, filters=2, head="aspp:width=8,rates=1-2,kind=full,decoder=none"
    ),
    "dpc": DPCSpace(branches=3, width=8),
    "fasterseg": FasterSegSpace(layers=6, filters=2),
    "cas": CASSpace(layers=(3,), channels=(2,), head_widths=(8,)),
    "cas-small": CASSpace(name="cas-small", layers=(3,), channels=(2,), head_widths=(8,), context_ops=("skip", "p2x2")),
    "gas": GASSpace(layers=3, reductions=(1, 2), channels=2, head="aspp:width=8,rates=none"),
    "gas-small": GASSpace(name="gas-small", layers=3, reductions=(1, 2), channels=2, head="lraspp:width=8"),
}
SMALL_SIZES = ((64, 96), (65, 97))
SIZES: dict[str, tuple[contract.Size, ...]] = {
    "dpc": ((352, 352), (355, 367)),
    "cas": ((260, 288), (265, 289)),
    "auto-deeplab": ((96, 128), (97, 129)),
    "auto-deeplab-small": ((96, 128), (97, 129)),
}
"""Where the small ones are too small for a space."""
DRAWN = {
    "cas": 40,
    "cas-small": 20,
    "gas": 40,
    "gas-small": 20,
    "fasterseg": 80,
    "darts": 60,
    "nasnet": 60,
    "auto-deeplab": 20,
    "auto-deeplab-small": 10,
    "auxcells": 60,
    "crnas-resnet101": 60,
    "crnas-resnet18": 60,
}
"""Genotypes to expand where 200 take too long; ``benchmarks/spaces.py`` expands 1,000 of each."""


def narrow(name: str) -> SearchSpace:
    return NARROW.get(name) or SPACES.get(name)


@pytest.mark.parametrize("name", SPACES.names())
def test_registered_under_its_name_and_seeded(name: str) -> None:
    assert SPACES.get(name).name == name
    contract.check_same_seed_same_genotypes(SPACES.get(name))


@pytest.mark.parametrize("name", SPACES.names())
def test_genotypes_expand_and_round_trip(name: str) -> None:
    contract.check_round_trips(SPACES.get(name), SIZE, DRAWN.get(name, 200))
    contract.check_neighbours_decode(SPACES.get(name), SIZE)


@pytest.mark.parametrize("name", SPACES.names())
def test_torch_counts_what_the_graph_says(name: str) -> None:
    contract.check_torch_agrees(narrow(name), SIZES.get(name, SMALL_SIZES), 20)


HEADS = (
    "seg_head",
    "lraspp",
    "fpn",
    "aspp:rates=1-2-3",
    "dpc:published",
    "multi-scale-cell:1x1@f+p1x1@f;r2x2@0+skip@f",
)
OWN_DECODER = ("realtime", "auxcells", "fasterseg", "small-world")
"""What these search is the decoder, too."""


@pytest.mark.parametrize("name", [name for name in SPACES.names() if not name.startswith(OWN_DECODER)])
def test_every_backbone_takes_every_head(name: str) -> None:
    genotype = contract.drawn(SPACES.get(name), 1)[0]
    for head in HEADS:
        joined = replace(genotype, params={**genotype.params, "head": head})
        graph = expand(joined, (3, 770, 1022), contract.CLASSES)
        assert graph.shape(graph.output) == (contract.CLASSES, 770, 1022)
