"""Sizes and known members of the spaces of mobile and reallocated backbones and of decoders over MobileNetV2."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.genotype import Genotype
from hwnas.skeletons.base import expand
from hwnas.spaces.auxcells import OPERATIONS, places, pool
from hwnas.spaces.base import SPACES
from hwnas.spaces.crnas import FAMILIES, crnas_genotype
from hwnas.spaces.decisions import size
from hwnas.zoo.catalog import load


def test_sizes() -> None:
    assert size(SPACES.get("spos")) == size(SPACES.get("spos-imagenet")) == 4**20
    assert size(SPACES.get("mbconv")) == 6**6 * 7**15
    assert size(SPACES.get("auxcells")) == 11**7 * (2 * 5 * 8) ** 2 * (4 * 5 * 6) ** 2
    for name, family in FAMILIES.items():
        assert size(SPACES.get(name)) == len(family.allocations) * 3 ** sum(family.original)


def test_published_decoders_and_nets_are_members() -> None:
    spos = SPACES.get("spos-imagenet")
    decisions = {choice.name: "shuffle_5x5" for choice in spos.choices}
    genotype = spos.decode(decisions).genotype
    assert genotype.params == load("spos").params
    assert genotype.cells.keys() == load("spos").cells.keys()
    decoder = {"fuse1.a": "l4", "fuse1.b": "l4", "fuse2.a": "l4", "fuse2.b": "l3", "fuse3.a": "l4", "fuse3.b": "l1"}
    layers = ((0, 0, 5, 2), (0, 2, 8, 8), (0, 5, 1, 4))
    names = list(OPERATIONS)
    decoder["cell.op0"] = names[8]
    for index, (a, b, op_a, op_b) in enumerate(layers, start=1):
        decoder |= {f"cell.layer{index}.a": places(index)[a], f"cell.layer{index}.b": places(index)[b]}
        decoder |= {f"cell.layer{index}.op_a": names[op_a], f"cell.layer{index}.op_b": names[op_b]}
    found = SPACES.get("auxcells").decode(decoder).genotype
    assert found.cells == load("nekrasov-arch0").cells
    assert found.params["connections"] == ((3, 3), (3, 2), (3, 0))
    assert pool(2) == ["l1", "l2", "l3", "l4", "fuse1"]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("crnas", 25_557_032),  # torchvision's ResNet50, 101 and 18
        ("crnas-resnet101", 44_549_160),
        ("crnas-resnet18", 11_689_512),
        # torchvision's MobileNetV2 without its 1x1 convolution to 1280 channels, the classifier narrower
        ("crnas-mobilenetv2", 3_504_872 - (320 * 1280 + 2 * 1280) - (1281 - 321) * 1000),
    ],
)
def test_original_allocation_is_the_original_network(name: str, params: int) -> None:
    family = FAMILIES[name]
    genotype = crnas_genotype(name, family, family.original, (1,) * sum(family.original), "classify")
    assert cost_of(expand(genotype, (3, 224, 224), 1000)).params == params


@pytest.mark.parametrize("name", ["crnas", "crnas-resnet18"])
def test_allocations_and_dilations_of_a_resnet_cost_the_same(name: str) -> None:
    """What the space rests on: a block costs the same at every stage. Sizes that the strides divide, no head."""
    family, rng = FAMILIES[name], np.random.default_rng(0)
    macs = set()
    for allocation in family.allocations[:: max(1, len(family.allocations) // 6)]:
        dilations = rng.integers(1, 4, sum(allocation)).tolist()
        genotype = crnas_genotype(name, family, allocation, dilations, "none")
        macs.add(cost_of(expand(genotype, (3, 128, 192), 5)).macs)
    assert len(macs) == 1


def test_17_more_blocks_cost_what_the_papers_table_says() -> None:
    """ResNet101's detector has 64.8 GFLOPs more than ResNet50's at 800x1088, BatchNorm and activations counted."""
    macs = {}
    for name in ("crnas", "crnas-resnet101"):
        family = FAMILIES[name]
        genotype = crnas_genotype(name, family, family.original, (1,) * sum(family.original), "none")
        macs[name] = cost_of(expand(genotype, (3, 800, 1088), 5)).macs
    assert (macs["crnas-resnet101"] - macs["crnas"]) / 1e9 == pytest.approx(257.3 - 192.5, rel=0.01)


def test_a_dilation_reaches_the_convolution_that_the_paper_names() -> None:
    decisions = SPACES.get("crnas-resnet18").sample(np.random.default_rng(0))
    decisions = {**decisions, "allocation": (2, 2, 2, 2), "block1.dilation": 3, "block8.dilation": 2}
    graph = expand(SPACES.get("crnas-resnet18").decode(decisions).genotype, (3, 64, 96), 5)
    assert graph.node("stage1/block1_a").params["dilation"] == 1
    assert graph.node("stage1/block1_b").params["dilation"] == 3
    assert graph.node("stage4/block2_b").params["dilation"] == 2


def backbone(**changed: object) -> Genotype:
    whole = load("spos")
    return Genotype("net", "backbone", whole.cells, {**whole.params, **changed})  # type: ignore[arg-type]


def test_any_head_joins_any_backbone_and_dilation_keeps_the_map_large() -> None:
    for head in ("lraspp", "aspp:rates=2-3", "fpn", "seg_head"):
        for dilated in (0, 1, 2):
            graph = expand(backbone(head=head, dilated_stages=dilated, classifier_bias=True), (3, 97, 130), 7)
            assert graph.shape(graph.output) == (7, 97, 130)
            assert graph.shape("stage4/block4")[1] == (4, 7, 13)[dilated]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"head": "lrasp"}, "unknown head 'lrasp'"),
        ({"head": 3}, "head must be a text"),
        ({"head": "cell"}, "needs a cell 'decoder'"),
        ({"strides": (2, 2)}, "as many as widths"),
        ({"strides": (2, 2, 3, 2)}, "1 or 2"),
        ({"widths": "many"}, "widths must be a list"),
        ({"dilated_stages": 5}, "from 0 to 4"),
        ({"classifier_bias": 1}, "true or false"),
        ({"depth": 4}, "no parameter 'depth'"),
        ({"widths": (64, 160, 320, 640, 640), "strides": (2, 2, 2, 2, 1)}, "needs a cell 'stage5'"),
    ],
)
def test_error_names_the_parameter(changed: dict[str, object], message: str) -> None:
    with pytest.raises(HwnasError, match=message):
        expand(backbone(**changed), (3, 64, 64), 5)


def test_a_decoder_that_takes_what_is_not_there_is_told_what_is() -> None:
    whole = load("squeezenas-lat-small")
    params = {**whole.params, "strides": (2, 2, 1, 1, 1)}
    with pytest.raises(GenotypeError, match="takes 's16'"):
        expand(Genotype("net", "backbone", whole.cells, params), (3, 64, 64), 5)
