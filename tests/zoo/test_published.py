"""Every published figure: equal to what our op graphs give, or in docs/published.md with the reason it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwnas.report.published import counted
from hwnas.zoo.published import Figure, figures

ROOT = Path(__file__).parents[2]
IDS = (Path(__file__).parent / "published_ids.txt").read_text().split("\n")[:-1]
BUILT = [figure for figure in figures() if figure.build is not None]


def test_every_known_figure_stands_in_one_file() -> None:
    found = [figure.id for figure in figures()]
    assert sorted(set(found)) == sorted(found)
    missing = set(IDS) - set(found)
    assert not missing, f"{len(missing)} figures stand in no file of hwnas/zoo/published: {sorted(missing)[:20]}"


@pytest.mark.parametrize("figure", BUILT, ids=lambda figure: figure.id)
def test_we_count_what_was_published(figure: Figure) -> None:
    build = figure.build
    assert build is not None
    ours = counted(figure) + (build.extra_params if "param" in figure.quantity else 0)
    assert ours == pytest.approx(figure.value, rel=build.tolerance, abs=0)
    assert not (build.tolerance or build.extra_params) or figure.facts.get("note")


def test_figures_checked_elsewhere_are_named_there() -> None:
    for figure in figures():
        if figure.test:
            text = (ROOT / "tests" / figure.test).read_text()
            assert figure.id in text or f'"{figure.family}"' in text, f"{figure.test} says nothing of {figure.id}"


def test_figures_that_cannot_be_compared_are_listed_with_their_reason() -> None:
    text = (ROOT / "docs" / "published.md").read_text()
    silent = [figure.id for figure in figures() if figure.reason and f"`{figure.id}`" not in text]
    assert not silent
