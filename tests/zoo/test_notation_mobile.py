"""The notations of mobile nets: round trips of the zoo's networks, the authors' own spellings, and mistakes."""

from __future__ import annotations

import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import GenotypeError
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import load, names
from hwnas.zoo.notation.registry import NOTATIONS

NOTATION_OF = {
    "fbnet-": "fbnet",
    "proxyless-cpu": "proxyless",
    "proxyless-gpu": "proxyless",
    "proxyless-mobile": "proxyless",
    "squeezenas-lat-small": "squeezenas-small",
    "squeezenas-lat-large": "squeezenas-large",
    "squeezenas-lat-xlarge": "squeezenas-xlarge",
    "squeezenas-mac-small": "squeezenas-small",
    "squeezenas-mac-large": "squeezenas-large",
    "squeezenas-mac-xlarge": "squeezenas-xlarge",
    "spos": "spos-imagenet",
    "detnas-coco-fpn-300m": "detnas-300m",
    "detnas-coco-retinanet": "detnas-300m",
    "detnas-coco-fpn-1.3g": "detnas-1.3g",
    "detnas-coco-fpn-3.8g": "detnas-3.8g",
    "nekrasov-arch": "auxcells",
    "nekrasov-templates": "templates",
}
CASES = [(name, notation) for name in names() for start, notation in NOTATION_OF.items() if name.startswith(start)]


@pytest.mark.parametrize(("name", "notation"), CASES)
def test_networks_of_the_zoo_round_trip(name: str, notation: str) -> None:
    genotype = load(name)
    text = NOTATIONS.get(notation).write(genotype)
    assert NOTATIONS.get(notation).read(text, name) == genotype


def test_every_notation_is_met() -> None:
    assert {notation for _, notation in CASES} == set(NOTATION_OF.values())


def test_fbnets_own_shorthands_are_read() -> None:
    text = """
    {"input_size": 224, "blocks": [
        [["conv_k3", 16, 2, 1]],  # stage 0
        [["ir_k3", 24, 2, 2, e6, use_bias], ["skip", 32, 1, 1], ["skip", 32, 2, 1]],
        [("conv_k1", 64, 1, 1)],
    ]}"""
    genotype = NOTATIONS.get("fbnet").read(text, "small")
    first = genotype.cells["stage1"]
    assert [node.op for node in first.nodes] == ["inverted_residual_3x3"] * 2
    assert dict(first.nodes[0].params) == {"activation": "relu", "bias": True, "expansion": 6}
    assert [genotype.cells[f"stage{i}"].nodes[0].op for i in (2, 3)] == ["conv_1x1", "conv_1x1"]
    assert genotype.params["strides"] == (2, 1, 2)
    assert expand(genotype, (3, 64, 64), 10).shape("stage3/block1") == (32, 8, 8)
    assert NOTATIONS.get("fbnet").read(NOTATIONS.get("fbnet").write(genotype), "small") == genotype


def test_squeezenas_own_list_is_read() -> None:
    text = NOTATIONS.get("squeezenas-small").write(load("squeezenas-lat-small"))
    theirs = "genotype = [" + ", ".join(f"Ops.{word}" for word in text.split('"')[1::2]) + "]"
    assert NOTATIONS.get("squeezenas-small").read(theirs, "squeezenas-lat-small") == load("squeezenas-lat-small")


def test_skips_of_squeezenas_that_change_the_shape_are_convolutions() -> None:
    ops = ["residual_skipish"] * 20
    genotype = NOTATIONS.get("squeezenas-small").read(str(ops), "skips")
    assert [genotype.cells[f"stage{i}"].nodes[0].op for i in (1, 2, 3, 4, 5)] == [
        *["factorized_reduce"] * 3,
        "nor_conv_1x1",
        "nor_conv_1x1",
    ]
    assert cost_of(expand(genotype, (3, 96, 128), 19)).params > 0
    assert NOTATIONS.get("squeezenas-small").write(genotype).count("residual_skipish") == 20


def test_channel_scales_of_single_path_one_shot() -> None:
    blocks, scales = [0] * 20, [1.0, 0.6, 1.6, 1.2] * 5
    read, write = NOTATIONS.get("spos-imagenet").read, NOTATIONS.get("spos-imagenet").write
    genotype = read(f"{{'architecture': {blocks}, 'channels_scales': {scales}}}", "scaled")
    assert [node.params["hidden"] for node in genotype.cells["stage1"].nodes] == [32, 19, 51, 38]
    again = read(write(genotype), "scaled")
    assert again == genotype


@pytest.mark.parametrize(
    ("notation", "text", "message"),
    [
        (
            "fbnet",
            '{"blocks": [[["conv_k3", 16, 2, 1]], [["ir_k9", 24, 2, 1]], [["conv_k1", 8, 1, 1]]]}',
            "stage 1.*ir_k9",
        ),
        ("fbnet", '{"blocks": [[["conv_k3", 16, 2]], [], []]}', "stage 0, block 0"),
        ("fbnet", '[[["conv_k3", 16, 2, 1]], [["ir_k3", 8, 1, 1, {"se": 1}]], []]', "unknown argument 'se'"),
        ("fbnet", "__import__('os').system('true')", "line 1, column 1.*not executed"),
        ("proxyless", '{"blocks": []}', "first_conv"),
        ("squeezenas-small", '["residual_skipish"]', "20 ops, not 1"),
        ("squeezenas-small", str(["residual_skipish"] * 19 + ["conv"]), "op 19 is 'conv'"),
        ("squeezenas-small", "[Ops.residual_skipish", "line 1"),
        ("spos-imagenet", "[0, 1, 2]", "20 numbers from 0 to 3"),
        ("spos-imagenet", str([4] * 20), "20 numbers from 0 to 3"),
        ("detnas-300m", "[open('x')]", "not executed"),
        ("auxcells", "[[8, [0, 5, 5, 2]], [[3, 3]]]", "layer 1"),
        ("auxcells", "[[11], [[3, 3]]]", "no op 11"),
        ("auxcells", "[[8, [0, 0, 5]], [[3, 3]]]", "row 0 must be 4 whole numbers"),
        ("templates", "[[[9, 0, 0]], [[0, 0, 0, 0, 0]]]", "no template"),
        ("templates", "[1, 2]", "two lists"),
    ],
)
def test_error_says_what_is_wrong_and_where(notation: str, text: str, message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        NOTATIONS.get(notation).read(text, "mistaken")


@pytest.mark.parametrize(
    ("notation", "text", "message"),
    [
        ("auxcells", "[[0], [[4, 0]]]", "the pool has 4 members"),
        ("templates", "[[[0, 0, 0]], [[0, 2, 0, 0, 0]]]", "a pool that has 2 members"),
        ("templates", "[[[0, 0, 0]], [[0, 0, 1, 0, 0]]]", "template1"),
    ],
)
def test_connections_that_leave_the_pool_are_refused_when_expanded(notation: str, text: str, message: str) -> None:
    genotype = NOTATIONS.get(notation).read(text, "mistaken")
    with pytest.raises(GenotypeError, match=message):
        expand(genotype, (3, 64, 64), 5)


def test_notations_refuse_what_they_cannot_say() -> None:
    for notation in ("fbnet", "proxyless", "squeezenas-small", "spos-imagenet", "auxcells", "templates"):
        with pytest.raises(GenotypeError):
            NOTATIONS.get(notation).write(load("fast-scnn"))
    with pytest.raises(GenotypeError, match="fbnet-a"):
        NOTATIONS.get("proxyless").write(load("fbnet-a"))
