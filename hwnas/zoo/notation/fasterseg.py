"""FasterSeg's op, path and width lists (VITA-Group/FasterSeg, latency/model_seg.py).

A branch is known by the scale that it ends in: 0, 1 or 2 (strides 8, 16, 32). Its three lists are called ``ops2``,
``path2`` and ``widths2`` and so on, or stand together under its scale::

    branches_by_last_scale = {"2": {"ops": ["conv_2x", …], "path": [0, …], "widths": [0.333, …]}, "1": {…}}
    built_branches = [2, 1]
    Fch = 12
    stem_head_width = [0.667, 0.667]

``lasts`` is another name for ``built_branches``, the branches of the network in their order; without it, all that are
given are built, the deepest first. Ops are names or their numbers: 0 skip, 1 conv, 2 conv_downup, 3 conv_2x,
4 conv_2x_downup. A layer strides where the path says so; lists ``downs`` may be there and must agree. One number for
``stem_head_width`` is for both.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.skeletons.fasterseg import chain_cell
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

OPS = {
    "skip": "skip_connect",
    "conv": "conv_3x3",
    "conv_downup": "zoomed_conv_3x3",
    "conv_2x": "double_conv_3x3",
    "conv_2x_downup": "zoomed_double_conv_3x3",
}
LISTS = ("ops", "path", "widths", "downs")
SCALES = (0, 1, 2)
OTHERS = ("branches_by_last_scale", "built_branches", "lasts", "Fch", "stem_head_width", "interpolation")


def read_fasterseg(text: str, name: str) -> Genotype:
    """The genotype of the lists; GenotypeError that names the list at fault."""
    found = read_literals(text)
    _refuse_unknown(found)
    branches = _branches(found)
    lasts = found.get("built_branches", found.get("lasts", sorted(branches, reverse=True)))
    if not isinstance(lasts, list) or not lasts or any(last not in branches for last in lasts):
        raise GenotypeError(f"the branches to build are {lasts!r}", f"there are lists of: {sorted(branches)}")
    cells, paths, widths = {}, [], []
    for number, last in enumerate(lasts, start=1):
        ops, path, ratios = _lists(branches[last], last)
        cells[f"branch{number}"] = chain_cell(ops)
        paths.append(path)
        widths.append(ratios)
    stem, head = _stem_and_head(found.get("stem_head_width", 1.0))
    params: dict[str, Value] = {
        "filters": found.get("Fch", 12),
        "paths": tuple(paths),
        "widths": tuple(widths),
        "stem_width": stem,
        "head_width": head,
        "interpolation": found.get("interpolation", "nearest"),
    }
    return Genotype(name, "fasterseg", cells, params)


def write_fasterseg(genotype: Genotype) -> str:
    """The lists of ``genotype``; GenotypeError where two branches end in the same scale."""
    words = {op: word for word, op in OPS.items()}
    branches: dict[str, dict[str, Any]] = {}
    lasts: list[int] = []
    for number, (path, ratios) in enumerate(zip(_rows(genotype, "paths"), _rows(genotype, "widths"), strict=True), 1):
        cell = genotype.cells[f"branch{number}"]
        ops = [words[cell.node(f"layer{index}").op] for index in range(len(path))]
        branches[str(path[-1])] = {"ops": ops, "path": list(path), "widths": list(ratios)}
        lasts.append(path[-1])
    if len(branches) != len(lasts):
        raise GenotypeError(f"{genotype.name}: two branches end in one scale, which these lists cannot say")
    rest = {
        "built_branches": lasts,
        "Fch": genotype.params.get("filters", 12),
        "stem_head_width": [genotype.params.get("stem_width", 1.0), genotype.params.get("head_width", 1.0)],
        "interpolation": genotype.params.get("interpolation", "bilinear"),
    }
    lines = [
        f"{last!r}: {{\n" + "".join(f"  {k!r}: {v!r},\n" for k, v in b.items()) + "}" for last, b in branches.items()
    ]
    text = "branches_by_last_scale = {" + ", ".join(lines) + "}\n"
    return text + "".join(f"{key} = {value!r}\n" for key, value in rest.items())


def _rows(genotype: Genotype, name: str) -> Any:
    return genotype.params.get(name, ())


def _refuse_unknown(found: Mapping[str, Any]) -> None:
    known = {*OTHERS, *(f"{name}{scale}" for name in LISTS for scale in SCALES)}
    unknown = sorted(set(found) - known)
    if unknown:
        raise GenotypeError(
            f"FasterSeg's notation has no {unknown[0]!r}", f"it has: ops0, path0, …, {', '.join(OTHERS)}"
        )


def _branches(found: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """The lists of each branch by the scale that it ends in."""
    together = found.get("branches_by_last_scale", {})
    if not isinstance(together, dict) or not all(isinstance(lists, dict) for lists in together.values()):
        raise GenotypeError("branches_by_last_scale must be a dictionary of branches, each a dictionary of lists")
    if any(str(key) not in map(str, SCALES) for key in together):
        raise GenotypeError(f"branches_by_last_scale has the branches {list(together)}", "a branch ends in 0, 1 or 2")
    branches: dict[int, Mapping[str, Any]] = {int(key): lists for key, lists in together.items()}
    for scale in SCALES:
        single = {name: found[f"{name}{scale}"] for name in LISTS if f"{name}{scale}" in found}
        if single and scale in branches:
            raise GenotypeError(f"the branch that ends in scale {scale} is given twice")
        if single:
            branches[scale] = single
    if not branches:
        raise GenotypeError(
            "FasterSeg's notation lacks the lists of its branches", "they are called ops2, path2, widths2"
        )
    return branches


def _lists(lists: Mapping[str, Any], last: int) -> tuple[list[str], tuple[int, ...], tuple[float, ...]]:
    where = f"the branch that ends in scale {last}"
    if set(lists) - set(LISTS) or not {"ops", "path", "widths"} <= set(lists):
        raise GenotypeError(f"{where} must have the lists ops, path and widths, not {', '.join(lists)}")
    ops, path, widths = lists["ops"], lists["path"], lists["widths"]
    if (
        not all(isinstance(items, list) for items in (ops, path, widths))
        or not len(ops) == len(path) == len(widths) + 1
    ):
        raise GenotypeError(f"{where}: ops and path must be lists of one length, widths shorter by one")
    names = list(OPS)
    for place, op in enumerate(ops):
        if type(op) is int and 0 <= op < len(names):
            continue
        if not isinstance(op, str) or op not in OPS:
            raise GenotypeError(f"{where}: op {place} is {op!r}", f"the ops are: {', '.join(OPS)}")
    if not all(type(scale) is int for scale in path) or path[-1] != last:
        raise GenotypeError(f"{where}: its path must be whole numbers that end in {last}, not {path!r}")
    downs = [after - before for before, after in itertools.pairwise(path)] + [0]
    if lists.get("downs", downs) != downs:
        raise GenotypeError(f"{where}: its downs are {lists['downs']}, but its path says {downs}")
    return [OPS[names[op] if isinstance(op, int) else op] for op in ops], tuple(path), tuple(widths)


def _stem_and_head(value: Any) -> tuple[Value, Value]:
    if isinstance(value, list):
        if len(value) != 2:
            raise GenotypeError(f"stem_head_width must be one number or two, not {value!r}")
        return value[0], value[1]
    return value, value


NOTATIONS.register("fasterseg", Notation(read_fasterseg, write_fasterseg, (1024, 2048), 19, {"channels": "filters"}))
