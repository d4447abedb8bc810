"""Rendering with and without Graphviz on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwnas.errors import HwnasError, MissingPackage
from hwnas.report import dot
from hwnas.report.dot import render

SOURCE = "digraph { a -> b }"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def no_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH without anything on it; graphviz-pure is still where pip put it."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def install_dot(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program called dot on the PATH."""
    folder.mkdir()
    (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.usefixtures("no_dot")
def test_without_dot_on_the_path_svg_and_png_are_drawn(tmp_path: Path) -> None:
    assert render(SOURCE, tmp_path / "a.svg").read_text().rstrip().endswith("</svg>")
    assert render(SOURCE, tmp_path / "new" / "a", "png").read_bytes().startswith(PNG_MAGIC)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.png"]


@pytest.mark.usefixtures("no_dot")
def test_without_dot_on_the_path_pdf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HwnasError, match="only Graphviz's own dot writes pdf"):
        render(SOURCE, tmp_path / "a.pdf")


@pytest.mark.parametrize("name", ["a.gif", "a"])
def test_unknown_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HwnasError, match="pictures are svg, png, pdf"):
        render(SOURCE, tmp_path / name)


@pytest.mark.usefixtures("no_dot")
def test_source_that_is_not_dot_is_an_error_and_leaves_the_old_picture(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("old")
    with pytest.raises(HwnasError, match=r"drawing failed: .*syntax error"):
        render("digraph { a -> ", tmp_path / "a.svg")
    assert [path.read_text() for path in tmp_path.glob("*")] == ["old"]


def test_dot_is_preferred_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_dot(tmp_path / "bin", 'echo "$1"; cat', monkeypatch)  # called as: dot -Tpdf
    assert render(SOURCE, tmp_path / "a.pdf").read_text() == f"-Tpdf\n{SOURCE}"


def test_a_dot_without_its_plugins_is_stepped_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_dot(tmp_path / "bin", 'echo "Format: png not recognized" >&2; exit 1', monkeypatch)
    assert render(SOURCE, tmp_path / "a.png").read_bytes().startswith(PNG_MAGIC)
    with pytest.raises(HwnasError, match="not recognized"):
        render(SOURCE, tmp_path / "a.pdf")


@pytest.mark.usefixtures("no_dot")
def test_without_any_program_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(MissingPackage, match="pip install graphviz-pure"):
        render(SOURCE, tmp_path / "a.svg")
