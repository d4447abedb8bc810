"""Bars of nodes: that every row is there, and that many nodes collapse."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hwnas.exporters.explain import Explanation, NodeTime
from hwnas.exporters.profiler import Kernel
from hwnas.latency.model import Prediction
from hwnas.report.bars import BAR_WIDTH, MOST_ROWS, Bar, bars_of, draw_bars, draw_explanation

SVG = "{http://www.w3.org/2000/svg}"


def node(name: str, ms: float, **more) -> NodeTime:
    kernel = Kernel(name, "Conv", ms, (name,))
    values = {
        "cell": "",
        "genotype_node": "",
        "op": "conv_3x3",
        "family": "conv",
        "shape": (8, 4, 4),
        "converts_ms": 0.0,
    }
    return NodeTime(name=name, ms=ms, kernels=(kernel,), **{**values, **more})


def explanation(nodes: list[NodeTime], **more) -> Explanation:
    values = {
        "unattributed": (),
        "between_ms": 0.5,
        "profiled_ms": 10.0,
        "p50_ms": 9.0,
        "cpu_p50_ms": 9.0,
        "runs": 5,
        "predicted": None,
    }
    return Explanation(nodes=tuple(nodes), **{**values, **more})


def words(path: Path) -> list[str]:
    return [(item.text or "").strip() for item in ElementTree.parse(path).getroot().iter(f"{SVG}text")]


def test_the_dearest_node_comes_first_and_all_is_said(tmp_path) -> None:
    stranger = Kernel("odd", "Mystery", 0.3, ())
    found = explanation([node("a", 1.0), node("b", 3.0, converts_ms=0.5, predicted_ms=2.0)], unattributed=(stranger,))
    svg, png = draw_explanation(found, "a network", tmp_path)
    said = words(svg)
    assert png.stat().st_size > 1000
    assert said.index("b") < said.index("a") < said.index("unattributed") < said.index("between kernels")
    assert {
        "a network",
        "3.000",
        "30.0%",
        "2.000",
        "-1.000",
        "converting layouts",
        "thin: by the table",
        "0.300",
    } <= set(said)


def test_many_nodes_collapse_into_one_row(tmp_path) -> None:
    found = explanation([node(f"n{i}", 1.0 + i / 1000) for i in range(200)])
    bars, _ = bars_of(found)
    assert len(bars) == MOST_ROWS + 2
    assert bars[MOST_ROWS].name == f"{200 - MOST_ROWS} other nodes"
    assert sum(bar.ms for bar in bars[:-1]) == pytest.approx(sum(n.ms for n in found.nodes))
    said = words(draw_explanation(found, "many", tmp_path)[0])
    assert f"{200 - MOST_ROWS} other nodes" in said and "n199" in said and "n0" not in said


def test_fused_nodes_have_no_row() -> None:
    fused = NodeTime("sum", "", "", "add", "merge", (1, 1, 1), 0.0, 0.0, (), inside="a")
    assert [bar.name for bar in bars_of(explanation([node("a", 1.0), fused]))[0]] == ["a", "between kernels"]


def test_bars_are_as_long_as_their_times() -> None:
    source = draw_bars([Bar("a", "", 2.0, "#aaaaaa"), Bar("b", "", 1.0, "#bbbbbb")], "t", total_ms=3.0)
    widths = {colour: int(width) for width, colour in re.findall(r'width="(\d+)" height="10" bgcolor="(#\w+)"', source)}
    assert widths == {"#aaaaaa": BAR_WIDTH, "#bbbbbb": BAR_WIDTH // 2}


@pytest.mark.parametrize("nodes", [[], [('<&>"x', 0.0)]])
def test_nothing_and_odd_names_can_be_drawn(nodes, tmp_path) -> None:
    found = explanation([node(name, ms) for name, ms in nodes], between_ms=-0.1)
    assert "between kernels" in words(draw_explanation(found, "t", tmp_path)[0])


def test_the_nets_own_overhead_stands_beside_what_lies_between() -> None:
    found = explanation([node("a", 1.0, predicted_ms=1.0)], predicted=Prediction(1.2, (1.0, 2.0), (), 0.2))
    assert bars_of(found)[0][-1].predicted_ms == 0.2
