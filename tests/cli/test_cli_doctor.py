"""The doctor: what it says on a healthy machine, and what on a sick one."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from types import SimpleNamespace

import pytest

from hwnas.cli import checks, engine_checks
from hwnas.cli.main import main

INSTALLED = metadata.version


def test_healthy_machine_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    found = {check["name"]: check for check in document["checks"]}
    assert {"hwnas", "python", "processor", "disk", "torch", "onnxruntime", "graphviz"} <= set(found)
    assert "ran a small graph" in found["onnxruntime"]["value"]


def test_text_shows_each_check_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    out = capsys.readouterr().out
    assert "processor" in out


def pretend_installed(names: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name.startswith("onnxruntime") and name not in names:
            raise metadata.PackageNotFoundError(name)
        return "1.0" if name in names else INSTALLED(name)

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize(
    ("gpu", "line"),
    [(False, "pip install onnxruntime"), (True, 'pip install "onnxruntime-gpu[cuda,cudnn]"')],
)
def test_both_onnxruntimes_are_a_problem_with_two_pip_lines(
    gpu: bool, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_installed({"onnxruntime", "onnxruntime-gpu"}, monkeypatch)
    real = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, **rest: gpu or None if name == "nvidia-smi" else real(name, **rest)
    )
    assert main(["doctor", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    (check,) = [check for check in document["checks"] if check["name"] == "onnxruntime twice"]
    assert check["status"] == "problem"
    assert check["hint"].splitlines() == ["pip uninstall -y onnxruntime onnxruntime-gpu", line]


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu"])
def test_one_onnxruntime_is_fine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed({name}, monkeypatch)
    assert engine_checks.check_both_onnxruntimes() == []


def test_engine_that_does_not_compute_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("bad instruction\nmore")

    monkeypatch.setattr(engine_checks, "_run_small_graph", broken)
    (check,) = engine_checks.check_onnxruntime()
    assert check.status == "problem"
    assert check.value.endswith("running a small graph failed: bad instruction")


def test_half_removed_onnxruntime_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", SimpleNamespace())
    (check,) = engine_checks.check_onnxruntime()
    assert check.status == "problem" and "hwnas[cpu]" in check.hint


def test_without_graphviz_the_hint_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **rest: None)
    (check,) = engine_checks.check_graphviz()
    assert check.status == "problem" and "graphviz-pure" in check.hint


def test_full_disk_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**28))
    (check,) = checks.check_disk()
    assert check.status == "note" and check.hint
