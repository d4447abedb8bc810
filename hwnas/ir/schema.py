"""The document that a genotype file holds, as pydantic models: they check documents and give the published JSON Schema.

``genotype.schema.json`` beside this file is written by ``python -m hwnas.ir.schema > hwnas/ir/genotype.schema.json``; a
test fails when it is stale. What a schema cannot say (known ops, their parameters, acyclic cells) is checked in
:mod:`hwnas.ir.serialize`.
"""

from __future__ import annotations

import difflib
import json
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypeAliasType

from hwnas.errors import GenotypeError

SCHEMA_PATH = Path(__file__).with_name("genotype.schema.json")

Name = Annotated[str, Field(pattern=r"^[^\s.]+$", description="Without spaces and dots.")]
Text = Annotated[str, Field(min_length=1)]
Scalar = TypeAliasType("Scalar", Union[bool, int, float, str, "list[Scalar]"])


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class NodeDocument(_Part):
    """An op applied to inputs of the cell or other nodes, in order."""

    name: Name
    op: Name
    inputs: Annotated[list[Name], Field(min_length=1)]
    params: dict[Name, Scalar] = Field(default={}, description="Those that the skeleton does not give.")


class CellDocument(_Part):
    """A small DAG of ops."""

    inputs: Annotated[list[Name], Field(min_length=1)]
    nodes: list[NodeDocument]
    output: Annotated[Name, Field(description="The node or input whose value the cell gives.")]


class GenotypeDocument(_Part):
    """An architecture of hwnas: cells by role, and the skeleton that puts them together."""

    format: Literal["hwnas-genotype"]
    schema_version: Literal[1]
    name: Text
    skeleton: Name
    params: Annotated[dict[Name, Scalar], Field(description="Parameters of the skeleton.")]
    cells: Annotated[dict[Name, CellDocument], Field(min_length=1, description="Cells by their role.")]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the current schema version."""
    schema = GenotypeDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "hwnas genotype"}


def check_document(document: object) -> GenotypeDocument:
    """The checked document; a GenotypeError says where it is wrong first and what belongs there."""
    try:
        return GenotypeDocument.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
    # A misspelt field is both unknown and missing; the former says more.
    worst = next((detail for detail in details if detail["type"] == "extra_forbidden"), details[0])
    raise _explain(worst, document)


def _explain(detail: ErrorDetails, document: object) -> GenotypeError:
    location = list(detail["loc"])
    if location and location[-1] == "[key]":
        location = location[:-1]
    if "params" in location:  # what follows the parameter's name tells how the union of types was tried
        location = location[: location.index("params") + 2]
    where, field = _where(location[:-1], document), location[-1] if location else ""
    prefix = f"{where}: " if where else ""
    if detail["type"] == "missing":
        return GenotypeError(f"{prefix}the field {field!r} is missing")
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(field), _fields(location), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its fields are: {', '.join(_fields(location))}"
        return GenotypeError(f"{prefix}there is no field {field!r}", hint)
    if isinstance(field, int) or (len(location) > 1 and location[-2] == "cells"):
        what = _where(location, document)
    else:
        what = f"{prefix}{field!r}" if location else "a genotype"
    return GenotypeError(f"{what} {_wanted(detail, location)}, not {_short(detail['input'])}")


def _where(location: Sequence[int | str], document: object) -> str:
    """``cells, stage1, nodes, 2`` → ``cell 'stage1', node 'block3'``: parts that have a name are called by it."""
    words: list[str] = []
    for depth, part in enumerate(location):
        document = _step(document, part)
        parent = location[depth - 1] if depth else ""
        if parent == "cells":
            words.append(f"cell {part!r}")
        elif parent == "nodes":
            name = _step(document, "name")
            words.append(f"node {name!r}" if isinstance(name, str) else f"node number {int(part) + 1}")
        elif depth == len(location) - 1 and depth:
            words.append(f"{parent} number {part + 1}" if isinstance(part, int) else str(part))
    return ", ".join(words)


def _step(document: object, part: int | str) -> object:
    if isinstance(document, dict):
        return document.get(part)
    return document[part] if isinstance(document, list) and isinstance(part, int) else None


def _fields(location: Sequence[int | str]) -> list[str]:
    if "nodes" in location:
        return list(NodeDocument.model_fields)
    return list(CellDocument.model_fields if "cells" in location else GenotypeDocument.model_fields)


def _wanted(detail: ErrorDetails, location: Sequence[int | str]) -> str:
    """What belongs there, for the errors that a document can cause."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in ("string_type", "string_pattern_mismatch", "string_too_short", "string_unicode"):
        return "must be a text" if kind == "string_type" else "must be a name without spaces and dots"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if "params" in location and location[-1] != "params":
        return "must be true, false, a finite number, a text or a list of these"
    if kind in ("list_type", "too_short"):
        return "must be a list" if kind == "list_type" else "must not be empty"
    return "must be an object"


def _short(value: object) -> str:
    shortened = reprlib.repr(value)
    return {"None": "null", "True": "true", "False": "false"}.get(shortened, shortened)


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1))
