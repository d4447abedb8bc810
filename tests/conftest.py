"""What every test leaves behind it as it found it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def denormals_as_python_expects() -> Iterator[None]:
    """Training flushes denormal numbers to zero, for the whole process; other tests compare bit by bit."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_flush_denormal(False)
