"""The contract suite on every registered path sampler."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sampler_contract import CHECKS, Make

from hwnas.supernet.samplers.base import SAMPLERS


@pytest.mark.parametrize("name", SAMPLERS.names())
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_sampler_keeps_the_contract(name: str, check: Callable[[Make], None]) -> None:
    check(SAMPLERS.get(name))
