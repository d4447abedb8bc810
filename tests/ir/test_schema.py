"""The published JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from hwnas.ir.genotype import SCHEMA_VERSION
from hwnas.ir.schema import SCHEMA_PATH, json_schema
from hwnas.ir.serialize import FORMAT


def essence(part: Any) -> Any:
    """A schema without what says nothing about documents and differs between versions of pydantic."""
    if isinstance(part, dict):
        return {key: essence(value) for key, value in part.items() if key not in ("title", "propertyNames")}
    return [essence(item) for item in part] if isinstance(part, list) else part


def test_published_schema_is_what_the_code_checks() -> None:
    assert essence(json.loads(SCHEMA_PATH.read_text())) == essence(json_schema())


def test_schema_names_the_format_and_the_current_version() -> None:
    properties = json_schema()["properties"]
    assert properties["format"]["const"] == FORMAT
    assert properties["schema_version"]["const"] == SCHEMA_VERSION
