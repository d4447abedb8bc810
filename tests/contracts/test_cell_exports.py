"""Networks of the spaces of cells in ONNX Runtime."""

from __future__ import annotations

import pytest

from hwnas.spaces.base import SPACES
from tests.contracts import space_contract as contract
from tests.contracts.exported_ops import ExportedOps
from tests.contracts.test_spaces import SIZES, SMALL_SIZES, narrow

CELLS = [name for name in SPACES.names() if name.startswith(("auto-", "aux", "cas", "darts", "dpc", "gas", "nasnet"))]
OPS = ExportedOps()


@pytest.mark.parametrize("name", [name for name in CELLS if not name.endswith(contract.TWINS)])
def test_onnx_runtime_computes_the_same(name: str) -> None:
    """One of each: it takes seconds. ``benchmarks/spaces.py`` exports more."""
    contract.check_exports(narrow(name), SIZES.get(name, SMALL_SIZES)[-1], 1)


@pytest.mark.parametrize("name", CELLS)
def test_networks_of_exported_ops_compute_the_same(name: str) -> None:
    contract.check_assembled(narrow(name), SIZES.get(name, SMALL_SIZES)[-1], 20, OPS)
