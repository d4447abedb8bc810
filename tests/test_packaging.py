"""Importing hwnas is quick and light, and what is in the tree may be published."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hwnas

ROOT = Path(__file__).resolve().parent.parent

HEAVY = ("torch", "onnx", "onnxruntime", "optuna", "lightning", "torchmetrics", "pydantic")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_after(imports: str) -> set[str]:
    """Top-level packages loaded after a line of imports in a fresh interpreter, beyond the interpreter's own."""
    code = f"import sys; own = set(sys.modules); import {imports}; print(*(set(sys.modules) - own))"
    return {name.split(".")[0] for name in run_python(code).split()}


def test_import_takes_under_0_3_s() -> None:
    code = "import time; start = time.process_time(); import hwnas; print(time.process_time() - start)"
    assert min(float(run_python(code)) for _ in range(3)) < 0.3


@pytest.mark.parametrize(
    "imports",
    ["hwnas", "hwnas.spaces.base, hwnas.ops.spec, hwnas.ir.opgraph", "hwnas.search.strategy", "hwnas.cli.main"],
)
def test_import_loads_nothing_heavy(imports: str) -> None:
    assert not loaded_after(imports).intersection(HEAVY)


def test_every_op_and_space_is_known_without_torch() -> None:
    code = "import sys; from hwnas.ops.spec import OPS; from hwnas.spaces.base import SPACES;"
    code += "OPS.names(); SPACES.names(); print('torch' in sys.modules)"
    assert run_python(code) == "False"


def test_profiler_needs_only_numpy() -> None:
    """``measure.py`` is carried to the device alone: it must load with numpy and the standard library."""
    names = loaded_after("hwnas.latency.measure") - {"hwnas"}
    assert names - {"numpy"} <= set(sys.stdlib_module_names) | {name for name in names if name.startswith("_")}


def test_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", hwnas.__version__)


def test_extra_all_is_everything_but_gpu_and_tensorrt() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = re.fullmatch(r"hwnas\[(.*)\]", extras["all"][0])
    assert named and len(extras["all"]) == 1
    assert set(named[1].split(",")) == set(extras) - {"all", "gpu", "tensorrt"}


def forbidden() -> list[str]:
    """Words that have no place in a published tree, put together here so that this file does not hold them."""
    hosts = ["py" + "pi.org", "python" + "hosted.org", "download.py" + "torch.org", "registry." + "npmjs.org"]
    return ["/" + "work/", *hosts]


def text_files() -> list[Path]:
    folders = ["hwnas", "cli", "exporters", "latency_tables", "tests", "benchmarks", "docs", ".ci"]
    found = [path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()]
    found += [path for path in ROOT.iterdir() if path.is_file()]
    return [path for path in found if path.suffix in {".py", ".md", ".toml", ".json", ".yml", ""}]


def test_tree_names_no_private_path_and_no_package_host() -> None:
    for path in text_files():
        text = path.read_text(encoding="utf-8", errors="ignore")
        for word in forbidden():
            assert word not in text, f"{path.relative_to(ROOT)} mentions {word}"
