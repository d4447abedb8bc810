"""Knowing the ops must not import torch; the files of module classes must import nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import hwnas.ops.nn

ROOT = Path(__file__).resolve().parents[2]


def test_op_graphs_are_built_and_priced_without_torch() -> None:
    code = """
import sys
from hwnas.ir.opgraph import GraphBuilder
from hwnas.ops.spec import OPS
from hwnas.compiler.cost import cost_of
builder = GraphBuilder((3, 64, 64))
stem = builder.add("stem", "mbconv_e4_k5", ["image"], {"channels": 16, "stride": 2})
assert cost_of(builder.finish(stem)).macs > 0
assert len(OPS.names()) > 30
print("torch" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_files_of_modules_import_only_torch() -> None:
    for path in Path(hwnas.ops.nn.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {(node.module or "").split(".")[0]}
            else:
                continue
            assert roots <= {"torch", "__future__"}, path
