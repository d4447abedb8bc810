"""Networks of the spaces of cells in ONNX Runtime: 20 of each where CI is set, else 3, since exporting takes long."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwnas.spaces.base import SPACES
from tests.contracts import space_contract as contract
from tests.contracts.test_spaces import SIZES, SMALL_SIZES, narrow

CELLS = [name for name in SPACES.names() if name.startswith(("auto-", "aux", "cas", "darts", "dpc", "gas", "nasnet"))]


@pytest.mark.parametrize("name", CELLS)
def test_onnx_runtime_computes_the_same(name: str, tmp_path: Path) -> None:
    contract.check_exports(narrow(name), SIZES.get(name, SMALL_SIZES)[-1], contract.EXPORTED, tmp_path)
