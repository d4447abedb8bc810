"""The dense prediction cell's notation: the authors' JSON list of branches, or our text of them (``r1x6@f;1x1@0``).

A branch of the authors' (tensorflow/models, research/deeplab/core/dense_prediction_cell.py) is
``{"op": "conv", "kernel": 3, "rate": [1, 6], "input": -1}`` or ``{"op": "pyramid_pooling", "grid_size": [2, 4],
"input": 0}``; kernels are 1 or 3, input -1 are the features.

A cell alone is no network: ``dpc`` puts it on MobileNetV2 at output stride 16 without a decoder (as the space ``dpc``),
``dpc-xception-65`` and ``dpc-xception-71`` on those backbones with the decoder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.skeletons.dpc import Branch, parse_branches
from hwnas.spaces.dpc import dpc_on_mobilenet_v2
from hwnas.zoo.designs.xception import xception
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

KEYS = {"conv": {"op", "kernel", "rate", "input"}, "pyramid_pooling": {"op", "grid_size", "input", "kernel"}}


def read_branches(text: str) -> tuple[Branch, ...]:
    """The branches of either form; GenotypeError for anything else."""
    if "@" in text and "[" not in text:
        return parse_branches(text.strip())
    rows = read_literals(text).get("")
    if not isinstance(rows, list) or not rows:
        raise GenotypeError("a dense prediction cell is a list of branches", 'a branch is like {"op": "conv", …}')
    return parse_branches(";".join(_as_text(row, number) for number, row in enumerate(rows)))


def write_branches(branches: tuple[Branch, ...]) -> str:
    """The authors' JSON, one branch a line."""
    rows = []
    for branch in branches:
        row: dict[str, Any] = {"op": "pyramid_pooling" if branch.kind == "p" else "conv"}
        if branch.kind == "p":
            row["grid_size"] = list(branch.size)
        else:
            row |= {"kernel": 3, "rate": list(branch.size)} if branch.kind == "r" else {"kernel": 1}
        rows.append(json.dumps({**row, "input": branch.source}))
    return "[\n  " + ",\n  ".join(rows) + "\n]\n"


def read_dpc(text: str, name: str) -> Genotype:
    """The cell on MobileNetV2."""
    return dpc_on_mobilenet_v2(read_branches(text), name)


def read_dpc_on_xception(text: str, name: str, depth: int) -> Genotype:
    """The cell on Xception-65 or -71 at output stride 16."""
    cell = ";".join(map(str, read_branches(text)))
    return replace(xception(depth, head=f"dpc:{cell}").genotype, name=name)


def write_dpc(genotype: Genotype) -> str:
    """The authors' JSON of the dense prediction cell in ``genotype``; GenotypeError where it has none."""
    head = genotype.params.get("head")
    if isinstance(head, str) and head.partition(":")[0] == "dpc":
        return write_branches(parse_branches(head.partition(":")[2].partition(",")[0] or "published"))
    if head != "cell" or "decoder" not in genotype.cells:
        raise GenotypeError(f"{genotype.name} has no dense prediction cell")
    return write_branches(_branches_of(genotype.cells["decoder"]))


def _branches_of(cell: Cell) -> tuple[Branch, ...]:
    joined = [node for node in cell.nodes if node.op == "concat"]
    names = joined[0].inputs if joined else ()
    kinds = {"conv_1x1": ("1x1", ""), "atrous_sep_conv_3x3": ("r", "rates"), "grid_pool": ("p", "grid")}
    branches = []
    for name in names:
        node = cell.node(name) if name not in cell.inputs else None
        if node is None or node.op not in kinds or node.inputs[0] not in (*cell.inputs, *names):
            raise GenotypeError(f"{name} is not a branch of a dense prediction cell")
        kind, parameter = kinds[node.op]
        size = node.params.get(parameter, (1, 1)) if parameter else (1, 1)
        assert isinstance(size, tuple)
        source = -1 if node.inputs[0] in cell.inputs else names.index(node.inputs[0])
        branches.append(f"{Branch(kind, (int(str(size[0])), int(str(size[1]))), source)}")
    return parse_branches(";".join(branches))


def _as_text(row: object, number: int) -> str:
    """A branch of the authors' as our text."""
    where = f"branch {number} of the dense prediction cell"
    if not isinstance(row, Mapping) or row.get("op") not in KEYS:
        raise GenotypeError(f"{where} is {row!r}", f"it must have an op: {' or '.join(KEYS)}")
    unknown = sorted(set(map(str, row)) - KEYS[row["op"]])
    if unknown:
        raise GenotypeError(f"{where} has no {unknown[0]!r}", f"it has: {', '.join(sorted(KEYS[row['op']]))}")
    source = row.get("input")
    if type(source) is not int or source < -1:
        raise GenotypeError(f"{where}: input must be -1 (the features) or an earlier branch, not {source!r}")
    behind = "@f" if source == -1 else f"@{source}"
    if row["op"] == "pyramid_pooling":
        return "p" + _pair(row.get("grid_size"), f"{where}: grid_size") + behind
    if row.get("kernel") in (1, [1, 1]):
        return "1x1" + behind
    if row.get("kernel") not in (3, [3, 3]):
        raise GenotypeError(f"{where}: kernel must be 1 or 3, not {row.get('kernel')!r}")
    return "r" + _pair(row.get("rate"), f"{where}: rate") + behind


def _pair(value: object, where: str) -> str:
    if not isinstance(value, list) or len(value) != 2 or not all(type(item) is int and item > 0 for item in value):
        raise GenotypeError(f"{where} must be two whole numbers of at least 1, not {value!r}")
    return f"{value[0]}x{value[1]}"


NOTATIONS.register("dpc", Notation(read_dpc, write_dpc, (1025, 2049), 19))
for _depth in (65, 71):
    _read = partial(read_dpc_on_xception, depth=_depth)
    NOTATIONS.register(f"dpc-xception-{_depth}", Notation(_read, write_dpc, (1025, 2049), 19))
