"""FasterSeg: branches that share layers, its notation and space, and the sums of the authors' lookup table."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import GenotypeError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.latency.keys import LatencyKey
from hwnas.latency.table import load_table
from hwnas.skeletons.base import expand
from hwnas.skeletons.fasterseg import Branch, chain_cell, shared_layers
from hwnas.spaces.base import SPACES
from hwnas.spaces.fasterseg import FasterSegSpace
from hwnas.zoo.catalog import load
from hwnas.zoo.notation.fasterseg import read_fasterseg, write_fasterseg
from hwnas.zoo.published import Figure, figures

FACTS = {figure.id: figure for figure in figures() if figure.family == "fasterseg"}
SUMS = [figure for figure in FACTS.values() if figure.quantity == "LUT latency sum"]
UNTIMED = {"resize_nearest", "resize_bilinear", "concat", "skip_connect"}
"""Ops between the blocks that the authors added up."""


def two_branches(**changes: object) -> Genotype:
    params = {"paths": ((0, 1), (0, 0)), "widths": ((0.5,), (0.5,)), **changes}
    cells = {"branch1": chain_cell(["conv_3x3"] * 2), "branch2": chain_cell(["conv_3x3"] * 2)}
    return Genotype("g", "fasterseg", cells, params)


def test_layers_are_shared_up_to_the_first_difference_and_never_the_last() -> None:
    ops = ("conv_3x3",) * 4
    one = Branch(ops, (0, 0, 0, 0), (0.5, 0.5, 0.5))
    strided = Branch(ops, (0, 0, 1, 1), (0.5, 0.5, 0.5))
    wide = Branch(ops, (0, 0, 0, 0), (1.0, 0.5, 0.5))
    assert shared_layers([one, strided]) == [[[0, 1]], [[0], [1]], [[0], [1]], [[0], [1]]]
    assert shared_layers([one, wide]) == [[[0], [1]]] * 4
    assert shared_layers([one, one]) == [[[0, 1]]] * 3 + [[[0], [1]]]
    assert shared_layers([one, wide, strided])[0] == [[0, 2], [1]]
    short = Branch(ops[:2], (0, 0), (0.5,))
    assert shared_layers([one, short]) == [[[0, 1]], [[0], [1]], [[0]], [[0]]]


def test_the_published_students_shapes() -> None:
    graph = expand(load("fasterseg-student"), (3, 256, 512), 19)
    assert graph.shape("stem/double2") == (64, 32, 64)
    assert graph.shape("shared/layer2") == (32, 32, 64)
    assert graph.shape("branch1/layer9") == (256, 8, 16)
    assert graph.shape("branch2/layer8") == (128, 16, 32)
    assert graph.shape("fusion/conv") == (128, 32, 64)
    assert graph.shape(graph.output) == (19, 256, 512)


def test_odd_sizes_meet() -> None:
    graph = expand(load("fasterseg-student"), (3, 355, 487), 19)
    assert graph.shape(graph.output) == (19, 355, 487)
    assert graph.shape("branch1/merge8/resize")[1:] == graph.shape("fusion/conv")[1:]


@pytest.mark.parametrize("figure", SUMS, ids=lambda figure: figure.id)
def test_sums_of_the_authors_table_over_the_real_graph(figure: Figure) -> None:
    """Their lookup takes a plain double convolution for a zoomed one."""
    _, who, quantity = figure.id.split("/")
    graph = expand(load(f"fasterseg-{who}" + ("-32-8" if "[2,0]" in quantity else "")), (3, 1024, 2048), 19)
    table = load_table("gtx1080ti-tensorrt5.1-fp32")
    times_ms = []
    for node in graph.nodes:
        if node.op in UNTIMED:
            continue
        op, params = node.op, dict(node.params)
        if op == "zoomed_double_conv_3x3":
            op = "double_conv_3x3"
            del params["interpolation"]
        times_ms.append(table.entries[LatencyKey(op, params, graph.input_shapes(node.name)).text].ms)
    assert math.fsum(times_ms) == pytest.approx(figure.value, abs=1e-5)


def test_rows_of_the_authors_table() -> None:
    table = load_table("gtx1080ti-tensorrt5.1-fp32")
    assert table.provenance["imported"]["rows"] == FACTS["fasterseg/lut_entries"].value


def test_training_adds_two_heads() -> None:
    graph = expand(two_branches(auxiliary=True, attention=False), (3, 128, 128), 5)
    assert graph.auxiliary == ("head16",)
    channels = 8 * 2 * 12
    head = channels * channels * 9 + 2 * channels + 5 * channels + 5
    assert cost_of(graph, auxiliary=True).params - cost_of(graph).params == head


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"paths": ((0, 2), (0, 0))}, "branch1: the path leaves the trellis: layer 1 is at scale 2"),
        ({"paths": ((1, 1), (0, 0))}, "layer 0 is at scale 1"),
        ({"paths": ((0, 1), (0, -1))}, "branch2: the path leaves the trellis: layer 1 is at scale -1"),
        ({"paths": ((0, 1, 1), (0, 0))}, "must have a scale for each of its 2 layers"),
        ({"paths": ((0, 1),)}, "an item for each of 2 branches"),
        ({"widths": ((), (0.5,))}, "a width behind each of its first 1 layers"),
        ({"widths": ((0.0,), (0.5,))}, "a width must be a ratio above 0"),
        ({"filters": 0}, "filters must be a whole number"),
        ({"interpolation": "cubic"}, "interpolation must be bilinear or nearest"),
        ({"auxiliary": 1}, "must be true or false"),
        ({"depth": 1}, "no parameter 'depth'"),
    ],
)
def test_error_on_parameters_that_do_not_fit(params: dict, message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        expand(two_branches(**params), (3, 128, 128), 5)


def test_error_on_a_branch_that_is_no_chain() -> None:
    genotype = two_branches()
    cells = {"branch1": genotype.cells["branch1"], "branch2": chain_cell(["conv_1x1"] * 2)}
    with pytest.raises(GenotypeError, match="branch2 must be a chain of layer0"):
        expand(Genotype("g", "fasterseg", cells, genotype.params), (3, 128, 128), 5)
    with pytest.raises(GenotypeError, match="needs cells branch1"):
        expand(Genotype("g", "fasterseg", {"other": cells["branch1"]}, genotype.params), (3, 128, 128), 5)


LISTS = {
    "ops2": ["conv_2x", "conv", "skip", "conv_2x_downup", "conv_downup"],
    "path2": [0, 0, 1, 1, 2],
    "widths2": [1.0, 0.5, 1.0, 0.5],
    "ops0": [3, 1],
    "path0": [0, 0],
    "widths0": [1.0],
    "lasts": [2, 0],
}


def as_text(**changes: object) -> str:
    return "\n".join(f"{key} = {value!r}" for key, value in {**LISTS, **changes}.items() if value is not None)


def test_lists_are_read_in_both_forms() -> None:
    single = read_fasterseg(as_text(), "single")
    together = {str(last): {key: LISTS[f"{key}{last}"] for key in ("ops", "path", "widths")} for last in (0, 2)}
    document = json.dumps({"branches_by_last_scale": together, "built_branches": [2, 0]})
    assert fingerprint(read_fasterseg(document, "together")) == fingerprint(single)
    assert [node.op for node in single.cells["branch2"].nodes] == ["double_conv_3x3", "conv_3x3"]


def test_what_is_written_is_read_back() -> None:
    space, rng = SPACES.get("fasterseg"), np.random.default_rng(0)
    genotypes = [space.decode(space.sample(rng)).genotype for _ in range(50)]
    for genotype in [*genotypes, load("fasterseg-teacher")]:
        assert fingerprint(expand(read_fasterseg(write_fasterseg(genotype), "x"), (3, 256, 256), 4)) == fingerprint(
            expand(genotype, (3, 256, 256), 4)
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ops2": ["conv_3x", *LISTS["ops2"][1:]]}, "op 0 is 'conv_3x'\n  the ops are: skip"),
        ({"ops0": [5, 1]}, "op 0 is 5"),
        ({"widths2": [1.0]}, "widths shorter by one"),
        ({"path2": [0, 0, 1, 1, 1]}, "must be whole numbers that end in 2"),
        ({"path2": None}, "must have the lists ops, path and widths"),
        ({"downs2": [1, 0, 0, 0, 0]}, "its downs are [1, 0, 0, 0, 0], but its path says [0, 1, 0, 1, 0]"),
        ({"lasts": [1]}, "the branches to build are [1]\n  there are lists of: [0, 2]"),
        ({"depth": 3}, "has no 'depth'"),
        ({"stem_head_width": [1.0]}, "must be one number or two"),
        ({"branches_by_last_scale": {"2": {}}}, "is given twice"),
        ({"branches_by_last_scale": {"3": {}}}, "a branch ends in 0, 1 or 2"),
    ],
)
def test_error_on_faulty_lists(changes: dict, message: str) -> None:
    with pytest.raises(GenotypeError) as caught:
        read_fasterseg(as_text(**changes), "faulty")
    assert message in str(caught.value)


def test_a_skip_between_two_widths_is_a_convolution_and_else_nothing() -> None:
    space, rng = FasterSegSpace(layers=6, filters=4), np.random.default_rng(0)
    decisions = {choice.name: choice.options[-1] for choice in space.choices}
    decisions |= {choice.name: "skip_connect" for choice in space.choices if choice.name.endswith(".op")}
    decisions |= {"other": 8, "down32.first": 0, "down32.second0": 1, "s32.layer3.width": 0.5}
    graph = expand(space.decode(decisions).genotype, (3, 128, 128), 5)
    ops = [graph.node(f"branch1/layer{layer}").op for layer in range(6)]
    assert ops == ["factorized_reduce", "factorized_reduce", "conv_1x1", "conv_1x1", "skip_connect", "skip_connect"]
    assert space.decode(space.sample(rng)).genotype.cells["branch1"].nodes[-1].name == "layer5"
