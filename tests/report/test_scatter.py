from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.errors import HwnasError
from hwnas.report.scatter import Point, draw_scatter, front, points_of

POINTS = [Point("a", "onnxruntime fp32", 8.0, 0.61), Point("b", "onnxruntime int8", 5.0, 0.60)]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=20))
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    points = [Point(str(i), "k", float(ms), miou / 10) for i, (ms, miou) in enumerate(pairs)]
    kept = front(points)
    for point in points:
        assert any(each.latency_ms <= point.latency_ms and each.miou >= point.miou for each in kept)
    for a in kept:
        others = [each for each in points if (each.latency_ms, each.miou) != (a.latency_ms, a.miou)]
        assert not any(each.latency_ms <= a.latency_ms and each.miou >= a.miou for each in others)


def test_rows_without_both_figures_have_no_place() -> None:
    row = {"artifact": "x/logits", "engine": "e", "precision": "fp32", "p50_ms": 2.0, "miou": 0.5}
    assert points_of([row, {**row, "miou": None}, {"artifact": "y", "status": "broken"}]) == [
        Point("logits", "e fp32", 2.0, 0.5)
    ]
    with pytest.raises(HwnasError, match="nothing to plot"):
        points_of([{**row, "miou": None}])


def test_the_picture_names_every_point_and_kind(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    written = draw_scatter(POINTS, tmp_path / "plot.svg").read_text()
    ElementTree.fromstring(written)
    assert all(f"<!-- {text} -->" in written for text in ("a", "b", "onnxruntime int8", "mIoU, %"))
    assert draw_scatter(POINTS, tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(HwnasError, match=r"plots are \.svg"):
        draw_scatter(POINTS, tmp_path / "plot.bmp")
