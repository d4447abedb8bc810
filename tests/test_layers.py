"""Imports run in one direction. Every import counts: inside functions, under TYPE_CHECKING, by ``import_module``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hwnas"

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "clock cores errors registry optional shapes files progress rundir latency_tables",
        "ops",
        "ir",
        "skeletons",
        "spaces",
        "zoo",
        "compiler",
        "latency",
        "data",
        "training",
        "supernet",
        "search",
        "exporters",
        "report",
        "cli",
    )
)
"""A layer may import itself and those before it."""

LINKED = ("exporters", "cli", "latency_tables")
"""Folders of the top level whose import name is ``hwnas.…``; bare, they would be loaded a second time."""


def rank(layer: str) -> int:
    for index, names in enumerate(LAYERS):
        if layer in names:
            return index
    raise AssertionError(f"hwnas.{layer} is in no layer: add it to LAYERS in {Path(__file__).name}")


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """(dotted module name, file) of everything in a package, its symlinked folders included."""
    for entry in sorted(package.iterdir()):
        if entry.is_dir():
            for name, path in modules(entry):
                yield f"{package.name}.{name}", path
        elif entry.suffix == ".py":
            yield (package.name if entry.stem == "__init__" else f"{package.name}.{entry.stem}"), entry


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of everything a module imports, however it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                kept = parents[: len(parents) - node.level + is_package]
                base = ".".join([*kept, *([base] if base else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value, node.lineno


def violations(source: str, module: str, *, is_package: bool = False) -> list[tuple[int, str]]:
    """(line, what is wrong) for every import that points the wrong way."""
    found = []
    parts = module.split(".")
    for name, line in imported(ast.parse(source), module, is_package):
        target = name.split(".")
        if target[0] in LINKED:
            found.append((line, f"imports {name}: write hwnas.{name}"))
        if target[0] != "hwnas" or len(target) < 2 or target[1].startswith("__"):
            continue
        if len(parts) < 2:
            found.append((line, f"hwnas itself imports {name}: importing the package would load it"))
        elif rank(target[1]) > rank(parts[1]):
            found.append((line, f"{parts[1]} imports {name}, which is a later layer"))
    return sorted(found)


def test_imports_run_in_one_direction() -> None:
    for module, path in modules(PACKAGE):
        for line, problem in violations(path.read_text(), module, is_package=path.name == "__init__.py"):
            pytest.fail(f"{path.relative_to(ROOT)}:{line}: {problem}")


def test_every_module_belongs_to_a_layer() -> None:
    for module, _ in modules(PACKAGE):
        if "." in module:
            rank(module.split(".")[1])


def test_subpackages_load_nothing_by_themselves() -> None:
    """Their ``__init__`` is empty (a docstring may stand there), or ``hwnas.ops.spec`` would pull in torch."""
    for module, path in modules(PACKAGE):
        if path.name == "__init__.py" and "." in module:
            body = ast.parse(path.read_text()).body
            code = [node for node in body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
            assert not code, f"{path.relative_to(ROOT)}:{code[0].lineno}: keep this file empty"


@pytest.mark.parametrize(
    "planted",
    [
        "import hwnas.compiler.network",
        "from hwnas.compiler import network",
        "from hwnas import compiler",
        "from ..compiler import network",
        "def f():\n    from hwnas.compiler.network import compile_graph",
        "if TYPE_CHECKING:\n    from hwnas.compiler.network import Network",
        "importlib.import_module('hwnas.compiler.network')",
        "import exporters.ort",
        "from cli import main",
    ],
)
def test_planted_violation_is_caught(planted: str) -> None:
    assert violations(planted, "hwnas.ir.cell")


@pytest.mark.parametrize(
    ("allowed", "module"),
    [
        ("from hwnas.ir.cell import Cell", "hwnas.compiler.network"),
        ("from .cell import Cell", "hwnas.ir.genotype"),
        ("from hwnas import __version__", "hwnas.cli.main"),
        ("import torch", "hwnas.ops.modules"),
        ("from hwnas.training.loop import fit", "hwnas.supernet.train"),
    ],
)
def test_allowed_import_passes(allowed: str, module: str) -> None:
    assert not violations(allowed, module)


def test_training_may_not_import_supernet() -> None:
    assert violations("from hwnas.supernet import shared", "hwnas.training.loop")
