"""NAS-Bench-201: its figures, and its 15,625 cells as counted by three rules and by our fingerprints."""

from __future__ import annotations

import random

import pytest
from nasbench201_classes import (
    all_cells,
    arch_string,
    flattened_class,
    nats_class,
    reaches_the_output,
)

from hwnas.compiler.cost import cost_of
from hwnas.errors import GenotypeError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ir.passes.simplify import simplify
from hwnas.skeletons.base import expand
from hwnas.skeletons.placing import place_cell
from hwnas.zoo.notation.nasbench201 import nasbench201_cell, read_nasbench201, write_nasbench201
from hwnas.zoo.published import Figure, figures

FIGURES = {figure.id: figure for figure in figures() if figure.family == "nasbench201"}
COUNTED = [figure for figure in FIGURES.values() if figure.quantity in ("params", "MACs")]
INPUTS = {"cifar10": (32, 10), "cifar100": (32, 100), "ImageNet16-120": (16, 120)}


@pytest.mark.parametrize("figure", COUNTED, ids=lambda figure: figure.id)
def test_we_count_what_was_published(figure: Figure) -> None:
    size, classes = INPUTS[figure.facts["input"]]
    cost = cost_of(expand(read_nasbench201(figure.subject, "cell"), (3, size, size), classes))
    assert (cost.params if figure.quantity == "params" else cost.macs) == figure.value


def test_the_rules_count_the_published_classes() -> None:
    cells = list(all_cells())
    counted = {
        "nb201/total": len(cells),
        "nb201/unique_consider_zero_None": len({arch_string(cell) for cell in cells}),
        "nb201/unique_skip_only": len({nats_class(cell, zeros="keep") for cell in cells}),
        "nb201/unique_skip_and_zero": len({nats_class(cell) for cell in cells}),
        "nb201/canon_drop_zero": len({nats_class(cell, zeros="drop") for cell in cells}),
        "nb201/canon_flattened": len({flattened_class(cell) for cell in cells}),
        "nb201/check_valid_true": sum(map(reaches_the_output, cells)),
        "nb201/dead_output": sum(not reaches_the_output(cell) for cell in cells),
    }
    assert counted == {key: FIGURES[key].value for key in counted}
    assert counted["nb201/unique_skip_and_zero"] == 6466 and counted["nb201/canon_flattened"] == 4930


def graph_of(arch: str) -> OpGraph:
    """The cell alone, on a map of 4 channels."""
    builder = GraphBuilder((4, 8, 8))
    return builder.finish(place_cell(builder, nasbench201_cell(arch), "", {"node0": builder.input}, channels=4))


def test_our_fingerprints_behind_the_passes_are_the_flattened_classes() -> None:
    """On a draw, half of it from classes with several members; benchmarks/nasbench201.py does all 15,625 cells."""
    members: dict[str, list[str]] = {}
    for cell in all_cells():
        members.setdefault(flattened_class(cell), []).append(arch_string(cell))
    rng = random.Random(0)
    drawn = rng.sample(sorted(members), 130)
    ours: dict[str, str] = {}
    for name in drawn:
        chosen = rng.sample(members[name], min(4, len(members[name])))
        found = {fingerprint(simplify(graph_of(arch), exact=False)) for arch in chosen}
        assert len(found) == 1, chosen
        ours[name] = found.pop()
    assert len(set(ours.values())) == len(drawn)


def test_a_value_used_twice_is_the_same_expression_but_another_network() -> None:
    shared = graph_of("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|skip_connect~1|skip_connect~2|")
    twice = graph_of("|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|skip_connect~1|none~2|")
    assert fingerprint(simplify(shared, exact=False)) == fingerprint(simplify(twice, exact=False))
    assert fingerprint(simplify(shared)) != fingerprint(simplify(twice))
    assert cost_of(simplify(shared)).params * 2 == cost_of(simplify(twice)).params


def test_strings_are_written_as_they_were_read() -> None:
    for cell in random.Random(1).sample(list(all_cells()), 20):
        genotype = read_nasbench201(f'arch = "{arch_string(cell)}"', "cell")
        assert write_nasbench201(genotype) == arch_string(cell) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("|nor_conv_3x3~0|+|none~0", "node 2 is"),
        ("|nor_conv_4x4~0|", "node 1, edge 0: unknown op"),
        ("|nor_conv_3x3~1|", "node 1, edge 0 takes node '1'"),
        ("|none~0|+|none~0|none~0|", "takes one node twice"),
        ("__import__('os')", "is not executed"),
        ("17", "one string"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, said: str) -> None:
    with pytest.raises(GenotypeError, match=said.replace("'", ".")):
        read_nasbench201(text, "cell")
