"""DARTS's, NASNet's and ENAS's notations: read, written, and what is said of mistakes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.ir.serialize import save_genotype
from hwnas.skeletons.base import expand
from hwnas.spaces.darts import DartsSpace
from hwnas.spaces.nasnet import NasnetSpace
from hwnas.zoo.catalog import load
from hwnas.zoo.notation.registry import NOTATIONS, read_notation
from hwnas.zoo.resolve import parse_param, resolve_network

DARTS_V2 = """DARTS_V2 = Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0),
  ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],
  normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2),
  ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],
  reduce_concat=[2, 3, 4, 5])  # second order
"""
ENAS = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1 1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
SLIM = {
    "normal": {
        "operations": [
            "separable_5x5_2",
            "separable_3x3_2",
            "separable_5x5_2",
            "separable_3x3_2",
            "avg_pool_3x3",
            "none",
            "avg_pool_3x3",
            "avg_pool_3x3",
            "separable_3x3_2",
            "none",
        ],
        "hiddenstate_indices": [0, 1, 1, 1, 0, 1, 1, 1, 0, 0],
        "used_hiddenstates": [1, 0, 0, 0, 0, 0, 0],
    },
    "reduce": {
        "operations": [
            "separable_5x5_2",
            "separable_7x7_2",
            "max_pool_3x3",
            "separable_7x7_2",
            "avg_pool_3x3",
            "separable_5x5_2",
            "none",
            "avg_pool_3x3",
            "separable_3x3_2",
            "max_pool_3x3",
        ],
        "hiddenstate_indices": [0, 1, 0, 1, 0, 1, 3, 2, 2, 0],
        "used_hiddenstates": [1, 1, 1, 0, 0, 0, 0],
    },
}


def read(text: str, skeleton: str = "darts-cifar") -> Genotype:
    return NOTATIONS.get(skeleton).read(text, "file")


def same(a: Genotype, b: Genotype) -> bool:
    return fingerprint(a) == fingerprint(b)


def test_darts_text_is_the_zoos_network_under_its_own_name() -> None:
    genotype = read(DARTS_V2)
    assert genotype.name == "DARTS_V2" and same(genotype, load("darts-v2"))
    assert same(read(DARTS_V2.replace("DARTS_V2 = ", "")), genotype)


def test_nested_pairs_and_positional_fields_are_the_same_text() -> None:
    flat = read("Genotype([('sep_conv_3x3', 0), ('none', 1)], [2], [('identity', 1), ('conv_1x7_7x1', 1)], [2])")
    nested = read(
        "Genotype(normal=[(('sep_conv_3x3', 0), ('none', 1))], normal_concat=[2], connectN=None, connects=None,"
        "reduce=[(('skip_connect', 1), ('conv_7x1_1x7', 1))], reduce_concat=[2])"
    )
    assert same(flat, nested)


def test_enas_string_is_the_zoos_network() -> None:
    for text in (ENAS, ENAS + "\n", f'fixed_arc = "{ENAS}"'):
        assert same(read(text, "enas-micro"), load("enas-micro"))
    assert NOTATIONS.get("enas-micro").write(load("enas-micro")).strip() == ENAS


def test_slims_arrays_are_the_zoos_nasnet() -> None:
    ours = load("nasnet-a-mobile")
    assert same(read(json.dumps(SLIM), "nasnet-imagenet"), replace(ours, name="file"))
    assert cost_of(expand(ours, (3, 224, 224), 1000)).params == 5_289_978


@pytest.mark.parametrize("skeleton", ["darts-cifar", "darts-imagenet", "cell-segmentation", "nasnet-cifar"])
def test_what_is_written_is_read_back(skeleton: str) -> None:
    notation = NOTATIONS.get(skeleton)
    space = NasnetSpace(skeleton=skeleton) if skeleton.startswith("nasnet") else DartsSpace(skeleton=skeleton)
    rng = np.random.default_rng(0)
    for _ in range(20):
        genotype = space.decode(space.sample(rng)).genotype
        assert same(notation.read(notation.write(genotype), "again"), genotype)


def test_darts_text_cannot_say_a_concatenating_block() -> None:
    block = [["skip_connect", 0], ["skip_connect", 1], "concat"]
    genotype = read(json.dumps({"normal": [block], "reduce": [block]}))
    with pytest.raises(GenotypeError, match="NASNet's notation"):
        NOTATIONS.get("darts-cifar").write(genotype)
    assert same(read(NOTATIONS.get("nasnet-cifar").write(genotype)), genotype)


EDGES = "('sep_conv_3x3', 0), ('sep_conv_3x3', 1)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Genotype(normal=[('sep_conv_3x3', 0)]", "does not parse: .* in line 1, column 9"),
        (f"Genotype(normal=[{EDGES}],\n reduce=[('sep', 0), ('sep_conv_3x3', 1)])", "reduce, block 0, edge 0: unknown"),
        (f"Genotype(normal=[{EDGES}])", "lacks 'reduce'"),
        (f"Genotype(normal=[{EDGES}], reduce=[{EDGES}], steps=4)", "has no 'steps'"),
        (f"Genotype(normal=[{EDGES}], reduce=[('none', 0), ('none', 2)])", "block 0 takes state 2"),
        (f"Genotype(normal=[('none', 0)], reduce=[{EDGES}])", "normal has 1 edges"),
        (f"Genotype(normal=[{EDGES}], reduce=[{EDGES}], normal_concat=range(2, 9))", "normal_concat"),
        (f"Genotype(normal=[{EDGES}], reduce=[{EDGES}], normal_concat=[])", "cannot be concatenated"),
        (f"Genotype(normal=[{EDGES}], reduce=[{EDGES}], normal_concat=[2, 2])", "cannot be concatenated"),
        ("A = Genotype()\nB = Genotype()", "holds 2 values"),
        ("import os", "line 1, column 1: this is code"),
        ("Genotype(normal=__import__('os').system('touch owned'))", "column 17: this calls something"),
        ("Genotype(normal=[x for x in (1, 2)])", "column 17: this is code"),
        ("eval('1')", "this calls eval"),
        ("0 1 2", "two cells of 4 numbers a block"),
        ("0 9 0 0 0 0 0 0", "there is no op 9"),
        ("[1, 2]", "has no ''"),
        ("", "lacks 'normal'"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, said: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.txt"
    path.write_text(text)
    with pytest.raises(GenotypeError, match=said) as caught:
        read_notation(path, "darts-cifar")
    assert str(path) in caught.value.message
    assert list(tmp_path.iterdir()) == [path], "a notation was executed"


def test_a_notation_file_is_resolved_with_options(tmp_path: Path) -> None:
    path = tmp_path / "v2.txt"
    path.write_text(DARTS_V2)
    found = resolve_network(path, skeleton="darts-imagenet", options={"channels": 16, "auxiliary": True})
    assert (found.size_hw, found.classes) == ((224, 224), 1000)
    assert found.genotype.params == {"channels": 16, "auxiliary": True}
    nasnet = resolve_network(path, skeleton="nasnet-cifar", options={"channels": 8}, params={"repeats": 2})
    assert nasnet.genotype.params == {"filters": 8, "repeats": 2}


def test_the_zoos_cells_go_into_another_skeleton() -> None:
    there = resolve_network("snas-mild", skeleton="darts-imagenet")
    assert there.genotype.skeleton == "darts-imagenet" and not there.genotype.params
    assert (there.size_hw, there.classes) == ((224, 224), 1000)
    here = resolve_network("snas-mild")
    assert here.genotype.params == {"pool_norm": True} and here.size_hw == (32, 32)


def test_what_a_file_holds_is_told_apart(tmp_path: Path) -> None:
    ours, notation = tmp_path / "ours.json", tmp_path / "blocks.json"
    save_genotype(load("darts-v1"), ours)
    notation.write_text(NOTATIONS.get("nasnet-cifar").write(load("darts-v1")))
    assert same(resolve_network(ours).genotype, load("darts-v1"))
    assert same(resolve_network(notation, skeleton="darts-cifar").genotype, load("darts-v1"))
    with pytest.raises(GenotypeError, match="not a genotype of hwnas") as caught:
        resolve_network(notation)
    assert "--skeleton" in caught.value.hint
    with pytest.raises(HwnasError, match="unknown skeleton"):
        resolve_network(notation, skeleton="darts-cifra")
    with pytest.raises(HwnasError, match="unknown skeleton"):
        resolve_network("darts-v1", skeleton="darts-cifra")


def test_parameters_on_the_command_line() -> None:
    assert parse_param("output_stride=8") == ("output_stride", 8)
    assert parse_param("head=aspp:rates=1-2") == ("head", "aspp:rates=1-2")
    assert parse_param("path=[0, 1]") == ("path", (0, 1)) and parse_param("pool_norm=true") == ("pool_norm", True)
    with pytest.raises(GenotypeError, match="sets nothing"):
        parse_param("output_stride")
