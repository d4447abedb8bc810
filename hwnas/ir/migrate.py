"""Genotype documents of earlier schema versions, brought up to the current one step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import SCHEMA_VERSION

Document = dict[str, Any]


def _from_0(document: Document) -> Document:
    """Version 0 was the format before the first release: a cell's nodes were ``blocks``, a node's op its ``type``."""
    cells = document.get("cells")
    if not isinstance(cells, dict):
        return document
    return {**document, "cells": {role: _cell_from_0(cell) for role, cell in cells.items()}}


def _cell_from_0(cell: object) -> object:
    if not isinstance(cell, dict) or not isinstance(cell.get("blocks"), list):
        return cell
    blocks = [_renamed(block, "type", "op") if isinstance(block, dict) else block for block in cell["blocks"]]
    return _renamed({**cell, "blocks": blocks}, "blocks", "nodes")


def _renamed(part: Document, old: str, new: str) -> Document:
    return {new if key == old else key: value for key, value in part.items()}


MIGRATIONS: dict[int, Callable[[Document], Document]] = {0: _from_0}
"""Version → the function that turns a document of it into one of the next. It leaves what it does not understand alone:
the document is checked afterwards."""


def migrate(document: Document) -> Document:
    """``document`` in the current version; GenotypeError if its version is missing, no number or newer than ours."""
    if "schema_version" not in document:
        raise GenotypeError("the field 'schema_version' is missing")
    version = document["schema_version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise GenotypeError(f"'schema_version' must be a whole number, not {version!r}")
    if version > SCHEMA_VERSION:
        raise GenotypeError(
            f"schema version {version} was made by a newer hwnas (this one knows up to {SCHEMA_VERSION})",
            "upgrade with: pip install --upgrade hwnas",
        )
    while version < SCHEMA_VERSION:
        document = MIGRATIONS[version](document)
        version += 1
    return {**document, "schema_version": version}
