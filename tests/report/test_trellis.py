"""The picture of a path: every place and step of the trellis is there, and the chosen ones are marked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hwnas.report.dot import render
from hwnas.report.trellis import GREY, PATHS, TRELLISES, Trellis, draw_trellis
from hwnas.skeletons.base import SKELETONS
from hwnas.zoo.catalog import load

PATH = (0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1)


def edges(source: str) -> dict[tuple[str, str], str]:
    """(from, to) → attributes."""
    return {(a, b): rest for a, b, rest in re.findall(r"(p\d+_\d+) -> (p\d+_\d+)(.*)", source)}


def test_auto_deeplabs_trellis_has_its_places_and_steps() -> None:
    trellis = Trellis((4, 8, 16, 32), (PATH,))
    assert [len(levels) for levels in trellis.reachable()] == [2, 3, *[4] * 10]
    drawn = edges(draw_trellis(trellis, "a path"))
    assert len(drawn) == 5 + 8 + 9 * 10  # from 2 places to 3, from 3 to 4, and 10 steps between 4 places and 4
    bold = {ends for ends, rest in drawn.items() if "penwidth=3" in rest}
    assert bold == {(f"p{i}_{PATH[i]}", f"p{i + 1}_{PATH[i + 1]}") for i in range(11)}


def test_two_paths_share_places_and_steps() -> None:
    source = draw_trellis(Trellis((8, 16, 32), ((0, 0, 1), (0, 0, 0, 1)), (0, 1), (0,), ("one", "other")))
    both = f"{PATHS[0]}:{PATHS[1]}"
    drawn = edges(source)
    assert both in drawn["p0_0", "p1_0"]
    assert both not in drawn["p1_0", "p2_1"] and PATHS[0] in drawn["p1_0", "p2_1"]
    assert GREY in source and "wedged" in source
    assert "one" in source and "other" in source


@pytest.mark.parametrize("name", ["auto-deeplab-s", "fasterseg-student"])
def test_paths_of_the_zoo_are_drawn(name: str, tmp_path: Path) -> None:
    genotype = load(name)
    path = render(draw_trellis(TRELLISES[genotype.skeleton](genotype), name), tmp_path / "path.png")
    assert path.stat().st_size > 10_000


def test_trellises_are_of_skeletons_that_exist() -> None:
    assert set(TRELLISES) <= set(SKELETONS.names())
