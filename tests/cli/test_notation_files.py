"""Published notations on the command line: taken wherever a genotype is, and refused where they are code."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwnas.zoo.catalog import load
from hwnas.zoo.notation.registry import NOTATIONS
from tests.cli.commands import run


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    path = tmp_path / "v2.txt"
    path.write_text("DARTS_V2 = " + NOTATIONS.get("darts-cifar").write(load("darts-v2")))
    return path


@pytest.mark.parametrize(
    ("words", "params", "macs"),
    [
        (["--skeleton", "darts-cifar"], 3_349_342, 528_359_040),
        (["--skeleton", "darts-cifar", "--auxiliary"], 3_825_768, None),
        (["--skeleton", "darts-imagenet"], 4_718_752, 529_911_552),
        (["--skeleton", "darts-imagenet", "--auxiliary"], 5_979_528, None),
        (["--skeleton", "darts-cifar", "--classes", "100"], 3_349_342 + 90 * 577, 528_359_040 + 90 * 576),
    ],
)
def test_cost_counts_what_was_published(v2: Path, words: list[str], params: int, macs: int | None) -> None:
    found = run("cost", v2, *words)
    assert found.code == 0, found.said
    assert found.document["genotype"] == "DARTS_V2" and found.document["params"] == params
    assert macs is None or found.document["macs"] == macs


def test_width_and_depth_are_options(v2: Path) -> None:
    words = ["--skeleton", "darts-cifar", "--channels", "8", "--layers", "5", "--size", "64x96"]
    found = run("cost", v2, *words, "--param", "stem_multiplier=2")
    assert found.document["size"] == "64x96" and found.document["params"] < 100_000


def test_compile_writes_the_auxiliary_head_only_when_asked(v2: Path, tmp_path: Path) -> None:
    words = ["--skeleton", "darts-cifar", "--channels", "4", "--layers", "3"]
    assert run("compile", v2, *words, "-o", tmp_path / "plain.py").code == 0
    assert run("compile", v2, *words, "--auxiliary", "-o", tmp_path / "aided.py").code == 0
    assert "AuxiliaryHead" not in (tmp_path / "plain.py").read_text()
    assert "return every if self.training else every[0]" in (tmp_path / "aided.py").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "not a genotype of hwnas"),
        (["--skeleton", "darts-cifra"], "unknown skeleton with a notation 'darts-cifra'"),
        (["--skeleton", "darts-cifar", "--param", "depth=3"], "has no parameter 'depth'"),
        (["--skeleton", "darts-cifar", "--param", "layers=few"], "layers must be a whole number"),
        (["--skeleton", "enas-micro", "--param", "x"], "sets nothing"),
    ],
)
def test_mistakes_are_one_sentence(v2: Path, words: list[str], said: str) -> None:
    found = run("cost", v2, *words)
    assert found.code == 2 and said in found.document["error"]


def test_code_in_a_notation_is_refused_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.txt"
    path.write_text("Genotype(\n  normal=__import__('pathlib').Path('owned').touch())")
    found = run("cost", path, "--skeleton", "darts-cifar")
    assert found.code == 2 and "line 2, column 10" in found.document["error"]
    assert not (tmp_path / "owned").exists()
