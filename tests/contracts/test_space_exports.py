"""Networks of all other spaces in ONNX Runtime; of cells there are as many, in a file that runs beside this one."""

from __future__ import annotations

import pytest

from hwnas.spaces.base import SPACES
from tests.contracts import space_contract as contract
from tests.contracts.exported_ops import ExportedOps
from tests.contracts.test_cell_exports import CELLS
from tests.contracts.test_spaces import SIZES, SMALL_SIZES, narrow

OTHERS = [name for name in SPACES.names() if name not in CELLS]
OPS = ExportedOps()


@pytest.mark.parametrize("name", [name for name in OTHERS if not name.endswith(contract.TWINS)])
def test_onnx_runtime_computes_the_same(name: str) -> None:
    """One of each: it takes seconds. ``benchmarks/spaces.py`` exports more."""
    contract.check_exports(narrow(name), SIZES.get(name, SMALL_SIZES)[-1], 1)


@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_exported_ops_compute_the_same(name: str) -> None:
    contract.check_assembled(narrow(name), SIZES.get(name, SMALL_SIZES)[-1], 20, OPS)
