"""Networks of every registered space in ONNX Runtime: 20 of each where CI is set, else 3: it takes long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwnas.spaces.base import SPACES
from tests.contracts import space_contract as contract
from tests.contracts.test_spaces import SIZES, SMALL_SIZES, narrow

EXPORTED = 20 if os.environ.get("CI") else 3


@pytest.mark.parametrize("name", SPACES.names())
def test_onnx_runtime_computes_the_same(name: str, tmp_path: Path) -> None:
    contract.check_exports(narrow(name), SIZES.get(name, SMALL_SIZES)[-1], EXPORTED, tmp_path)
