"""Published notations on the command line: taken wherever a genotype is, and refused where they are code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwnas.compiler.cost import cost_of
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.zoo.catalog import load, names
from hwnas.zoo.notation.registry import NOTATIONS, write_notation
from hwnas.zoo.resolve import resolve_network
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


PLAIN = [name for name in names() if load(name).skeleton == "plain"]
WRITABLE = [name for name in names() if name not in PLAIN]


def check_written(genotype: Genotype, path: Path) -> None:
    """What is written, with what was said to be missing in it, is the same network again."""
    written = write_notation(genotype)
    path.write_text(written.text)
    found = resolve_network(path, skeleton=written.skeleton, params=written.unsaid).genotype
    assert fingerprint(replace(found, params={})) == fingerprint(replace(genotype, params={}))
    again, before = (expand(each, (3, 384, 384), 5) for each in (found, genotype))
    assert cost_of(again) == cost_of(before)


@pytest.mark.parametrize("name", WRITABLE)
def test_networks_of_the_zoo_are_written_and_read_back(name: str, tmp_path: Path) -> None:
    check_written(load(name), tmp_path / f"{name}.txt")


@pytest.mark.parametrize(
    "space", ["darts", "nasnet", "auto-deeplab", "dpc", "fasterseg", "spos-imagenet", "mbconv-imagenet", "auxcells"]
)
def test_what_is_found_in_a_space_is_written_in_its_papers_notation(space: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        check_written(SPACES.get(space).decode(SPACES.get(space).sample(rng)).genotype, tmp_path / "net.txt")


def test_a_notation_goes_to_a_file_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    path = tmp_path / "v2.txt"
    found = run("zoo", "notation", "darts-v2", "--channels", "16", "-o", path)
    assert found.document["notation"] == found.document["skeleton"] == "darts-cifar"
    assert found.document["unsaid"] == {"channels": 16} and "no place for: channels 16" in found.said
    assert path.read_text() == found.document["text"]
    again = run("zoo", "notation", path, "--skeleton", "darts-imagenet", "--as", "nasnet-imagenet")
    assert again.document["skeleton"] == "darts-imagenet" and again.document["text"].startswith("{")
    assert not again.document["unsaid"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bisenetv2"], "no published notation can say bisenetv2"),
        (["darts-v2", "--as", "fbnet"], "not backbone"),
        (["darts-v2", "--as", "auto-deeplab"], "the notation auto-deeplab cannot say darts-v2"),
        (["darts-v2", "--as", "fasterseg"], "the notation fasterseg cannot say darts-v2"),
        (["fbnet-a", "--as", "darts-cifar"], "the notation darts-cifar cannot say"),
        (["fbnet-a", "--as", "nasbench201"], "the notation nasbench201 cannot say"),
        (["darts-v2", "--as", "dart-cifar"], "did you mean darts-cifar"),
    ],
)
def test_what_a_notation_cannot_say_is_one_sentence(words: list[str], said: str) -> None:
    found = run("zoo", "notation", *words)
    assert found.code == 2 and said in f"{found.document['error']}: {found.document['hint']}"
