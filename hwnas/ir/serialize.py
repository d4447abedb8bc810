"""Genotypes as JSON: to a document and back, to a file and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.errors import GenotypeError, HwnasError
from hwnas.files import read_json, write_text
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import SCHEMA_VERSION, Genotype
from hwnas.ir.migrate import migrate
from hwnas.ir.node import Node
from hwnas.ops.spec import OPS
from hwnas.shapes import Params, Value

if TYPE_CHECKING:
    from hwnas.ir.schema import CellDocument, NodeDocument

FORMAT = "hwnas-genotype"


def genotype_to_dict(genotype: Genotype) -> dict[str, Any]:
    """The JSON document of a genotype, in the current schema version; tuples become lists."""
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "name": genotype.name,
        "skeleton": genotype.skeleton,
        "params": _plain_params(genotype.params),
        "cells": {role: _cell_to_dict(cell) for role, cell in genotype.cells.items()},
    }


def genotype_from_dict(document: object) -> Genotype:
    """The genotype of a JSON document of this or an earlier schema version.

    Raises GenotypeError naming the cell, node or field at fault. Whether the skeleton exists and its parameters fit is
    for ``expand`` to say.
    """
    from hwnas.ir.schema import check_document

    if not isinstance(document, dict):
        raise GenotypeError(f"a genotype must be an object, not {type(document).__name__}")
    if document.get("format") != FORMAT:
        raise GenotypeError(
            f"this is not a genotype: its 'format' is {document.get('format')!r}, not {FORMAT!r}",
            "genotypes are written by `hwnas search` and `hwnas sample`",
        )
    checked = check_document(migrate(document))
    cells = {role: _cell_from_document(cell, f"cell {role!r}") for role, cell in checked.cells.items()}
    return Genotype(checked.name, checked.skeleton, cells, _frozen_params(checked.params))


def save_genotype(genotype: Genotype, path: Path) -> None:
    """Write a genotype to a JSON file, one node a line; what could not be read back is a GenotypeError."""
    document = genotype_to_dict(genotype)
    genotype_from_dict(document)
    write_text(path, pretty_json(document) + "\n")


def load_genotype(path: Path) -> Genotype:
    """The genotype in a JSON file; every fault is a HwnasError that names the file and the place in it."""
    document = read_json(path, "genotype")
    try:
        return genotype_from_dict(document)
    except HwnasError as error:
        raise GenotypeError(f"{path}: {error.message}", error.hint) from error


def _cell_to_dict(cell: Cell) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = []
    for node in cell.nodes:
        nodes.append({"name": node.name, "op": node.op, "inputs": list(node.inputs)})
        if node.params:
            nodes[-1]["params"] = _plain_params(node.params)
    return {"inputs": list(cell.inputs), "nodes": nodes, "output": cell.output}


def _cell_from_document(document: CellDocument, where: str) -> Cell:
    for node in document.nodes:
        _check_op(node, where)
    nodes = [Node(node.name, node.op, tuple(node.inputs), _frozen_params(node.params)) for node in document.nodes]
    return Cell.of(document.inputs, nodes, document.output, where=where)


def _check_op(node: NodeDocument, where: str) -> None:
    """The op is known and takes that many inputs and such parameters; others may be left to the skeleton.

    A resize may have a second input in a cell: the skeleton takes the size from it.
    """
    try:
        spec = OPS.get(node.op)
        fits = spec.arity is None or len(node.inputs) == spec.arity
        if not fits and not (spec.family == "resize" and len(node.inputs) == 2):
            raise GenotypeError(f"op {node.op} takes {spec.arity} input(s), not {len(node.inputs)}")
        spec.check(_frozen_params(node.params))
    except HwnasError as error:
        raise GenotypeError(f"{where}, node {node.name!r}: {error.message}", error.hint) from error


def _plain_params(params: Params) -> dict[str, Any]:
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: Value) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _frozen_params(params: Mapping[str, Any]) -> dict[str, Value]:
    return {name: _frozen(value) for name, value in params.items()}


def _frozen(value: Any) -> Value:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def pretty_json(value: Any, indent: str = "") -> str:
    """JSON whose lists and objects of plain values stay on one line, and so does each node."""
    inner = indent + "  "
    if isinstance(value, dict) and value and "op" not in value:
        if all(not isinstance(item, dict | list) or item in ({}, []) for item in value.values()) and indent:
            return json.dumps(value, allow_nan=False)
        lines = [f"{inner}{json.dumps(key)}: {pretty_json(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(inner + pretty_json(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)
