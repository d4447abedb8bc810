"""Networks by their groups, and the numbers that colour pictures."""

from __future__ import annotations

import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import HwnasError
from hwnas.report.overview import boxes_of, draw_overview, links_of
from hwnas.report.palette import RAMP
from hwnas.report.values import COLOURS, places_of, values_of
from hwnas.skeletons.base import expand
from hwnas.zoo.catalog import load
from tests.report.test_draw import encoder_decoder


def test_boxes_are_the_first_parts_of_names() -> None:
    graph = encoder_decoder()
    boxes = boxes_of(graph)
    assert list(boxes) == ["stem", "stage1", "stage2", "decoder", "classifier", "upsample"]
    assert (boxes["decoder"].shape, len(boxes["decoder"].nodes)) == ("32x16x24", 4)
    assert ("stage1", "decoder") in links_of(graph)
    assert ("image", "stem") in links_of(graph)


def test_a_box_names_its_most_frequent_ops_first() -> None:
    boxes = boxes_of(expand(load("bisenetv2"), (3, 64, 96), 5))
    assert boxes["detail"].contents == "conv_3x3 x8"
    assert boxes["bga"].contents.endswith(", …")


def test_a_network_of_many_nodes_has_few_boxes() -> None:
    graph = expand(load("regseg"), (3, 96, 128), 5)
    assert len(graph.nodes) > 200
    source = draw_overview(graph, "regseg")
    assert source.count("\tb") < 60


def test_boxes_are_coloured_by_the_sum_of_their_nodes() -> None:
    source = draw_overview(encoder_decoder(), values={"decoder/up": 1.0, "decoder/add": 1.5, "stem/conv": 0.5})
    assert "2.5 ms" in source and RAMP[-1] in source


@pytest.mark.parametrize(("colour", "unit"), [("macs", "M MACs"), ("params", "k params")])
def test_values_are_costs_in_readable_units(colour: str, unit: str) -> None:
    graph = encoder_decoder()
    values, cost = values_of(graph, colour), cost_of(graph)
    assert values is not None and values.unit == unit
    factor, total = (1e6, cost.macs) if colour == "macs" else (1e3, cost.params)
    assert sum(values.of.values()) * factor == pytest.approx(total)


def test_a_colour_that_does_not_exist_or_lacks_its_table_is_refused() -> None:
    assert values_of(encoder_decoder(), COLOURS[0]) is None
    with pytest.raises(HwnasError, match="coloured by 'time'"):
        values_of(encoder_decoder(), "time")
    with pytest.raises(HwnasError, match="needs a latency table"):
        values_of(encoder_decoder(), "latency")


def test_values_of_a_cell_are_summed_over_its_places() -> None:
    genotype = load("darts-v2")
    graph = expand(genotype, (3, 32, 32), 10)
    values = values_of(graph, "params")
    assert values is not None
    cells = {role: values.in_cell(genotype, role, graph) for role in genotype.cells}
    roles = {name.split("/")[0]: role for name, (role, _) in places_of(graph, genotype).items()}
    assert {roles["cell6"], roles["cell13"]} == {"reduce"}
    assert list(roles.values()).count("reduce") == 2
    normal, reduce = cells["normal"], cells["reduce"]
    assert normal is not None and normal["state2/a"] > 0
    assert reduce is not None and set(reduce.values()) == {0}  # pooling and skips
