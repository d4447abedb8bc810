"""Documents of earlier schema versions."""

from __future__ import annotations

from typing import Any

import pytest
from ir_documents import document

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import SCHEMA_VERSION
from hwnas.ir.migrate import MIGRATIONS, migrate
from hwnas.ir.serialize import genotype_from_dict


def version_0() -> dict[str, Any]:
    """The small document as it was written before the first release."""
    old = {**document(), "schema_version": 0}
    for cell in old["cells"].values():
        cell["blocks"] = cell.pop("nodes")
        for block in cell["blocks"]:
            block["type"] = block.pop("op")
    return old


def test_version_0_is_read_as_today() -> None:
    assert genotype_from_dict(version_0()) == genotype_from_dict(document())


def test_migration_leaves_its_argument_alone() -> None:
    old = version_0()
    migrate(old)
    assert old == version_0()


def test_every_earlier_version_has_a_migration() -> None:
    assert sorted(MIGRATIONS) == list(range(SCHEMA_VERSION))


@pytest.mark.parametrize("cells", [None, [], {"a": 3}, {"a": {"blocks": 3}}, {"a": {"blocks": [3]}}], ids=repr)
def test_damaged_version_0_is_a_genotype_error(cells: Any) -> None:
    with pytest.raises(GenotypeError):
        genotype_from_dict({**version_0(), "cells": cells})
