"""What the tests of whole commands share: a cache of their own, and a small world's table and data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go to a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWNAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def short_timing() -> Iterator[None]:
    """See :func:`small_world.shorten_timing`."""
    from small_world import shorten_timing

    with pytest.MonkeyPatch.context() as patch:
        shorten_timing(patch)
        yield


@pytest.fixture(scope="session")
def small_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world's synthetic table, for two classes."""
    from small_world import synthetic_table

    from hwnas.latency.table import save_table

    path = tmp_path_factory.mktemp("table") / "table.json"
    save_table(synthetic_table(2), path)
    return path
