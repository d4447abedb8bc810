"""The verbs that need no training and no timing, each run on a real network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hwnas.cli.main import main
from hwnas.ir.serialize import load_genotype

NET = ["fast-scnn", "--size", "96x128", "--classes", "5"]


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON document of a command that succeeds."""
    code = main([*arguments, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err + out
    return json.loads(out)


def test_cost_counts(capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(capsys, "cost", *NET)
    assert document["params"] > 0 and document["macs"] > 0 and document["peak_activation_bytes"] > 3 * 96 * 128 * 4
    assert document["size"] == "96x128" and document["classes"] == 5


def test_cost_tells_people_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    params = answer(capsys, "cost", *NET)["params"]
    assert main(["cost", *NET]) == 0
    assert f"{params:,}" in capsys.readouterr().out


def test_sample_is_reproducible_and_seeds_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {}
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        document = answer(capsys, "sample", "-n", "3", "--seed", seed, "-o", str(tmp_path / folder))
        assert len(document["genotypes"]) == 3
        files[folder] = [load_genotype(Path(path)) for path in document["genotypes"]]
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]


def test_sampled_genotype_goes_on_to_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = answer(capsys, "sample", "-o", str(tmp_path))["genotypes"]
    assert answer(capsys, "cost", path, "--size", "96x128")["params"] > 0


def test_sample_of_unknown_space_offers_the_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--space", "realtme", "-o", str(tmp_path)]) == 2
    assert "did you mean realtime?" in capsys.readouterr().err


def test_compiled_source_needs_only_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.py"
    document = answer(capsys, "compile", *NET, "-o", str(path))
    assert document["file"] == str(path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import model; assert 'hwnas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)


def test_unwritable_output_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["compile", *NET, "-o", str(tmp_path / "file" / "model.py")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_zoo_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    networks = answer(capsys, "zoo", "list", "--size", "96x128")["networks"]
    assert "fast-scnn" in {network["name"] for network in networks}
    shown = answer(capsys, "zoo", "show", "fast-scnn")
    assert shown["schema_version"] >= 1 and shown["cells"]


def test_truncated_genotype_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.json"
    path.write_text('{"schema_version": 1, "na')
    assert main(["cost", str(path)]) == 2
    assert "not valid JSON" in capsys.readouterr().err
