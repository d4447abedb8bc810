"""Networks of all other spaces in ONNX Runtime; of cells there are as many, in a file that runs beside this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwnas.spaces.base import SPACES
from tests.contracts import space_contract as contract
from tests.contracts.test_cell_exports import CELLS
from tests.contracts.test_spaces import SIZES, SMALL_SIZES, narrow

OTHERS = [name for name in SPACES.names() if name not in CELLS]


@pytest.mark.parametrize("name", OTHERS)
def test_onnx_runtime_computes_the_same(name: str, tmp_path: Path) -> None:
    contract.check_exports(narrow(name), SIZES.get(name, SMALL_SIZES)[-1], contract.EXPORTED, tmp_path)
