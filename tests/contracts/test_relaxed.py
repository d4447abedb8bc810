"""The contract of relaxed spaces on every one that is registered, by its narrow twin (see ``test_spaces``)."""

from __future__ import annotations

import pytest

from hwnas.spaces.base import SPACES
from hwnas.spaces.darts import DartsSpace
from hwnas.spaces.relaxed import has_relaxation, relaxed
from tests.contracts import relaxed_contract as contract
from tests.contracts.test_spaces import narrow

SMALL_TWINS = tuple(name for name in SPACES.names() if name.endswith("-small"))
"""The same spaces with other numbers."""
NAMES = [name for name in SPACES.names() if has_relaxation(SPACES.get(name)) and name not in SMALL_TWINS]
SIZES: dict[str, contract.Size] = {"cas": (260, 288), "auto-deeplab": (100, 128), "auto-deeplab-small": (100, 128)}
SMALL = (64, 96)
LARGE = ("realtime", "auto-deeplab", "auto-deeplab-small")


@pytest.mark.parametrize("name", NAMES)
def test_fixed_supergraph_is_the_genotype(name: str) -> None:
    contract.check_fixed_supergraph_is_the_genotype(relaxed(narrow(name)), SIZES.get(name, SMALL), 5)


@pytest.mark.parametrize("name", NAMES)
def test_relaxed_network_is_the_compiled_one(name: str) -> None:
    contract.check_network_is_the_compiled_one(relaxed(narrow(name)), SIZES.get(name, SMALL), 1 if name in LARGE else 2)


@pytest.mark.parametrize("name", NAMES)
def test_derive_undoes_embed(name: str) -> None:
    contract.check_derive_undoes_embed(relaxed(SPACES.get(name)), 5)


@pytest.mark.parametrize("name", NAMES)
def test_a_relaxation_means_distributions(name: str) -> None:
    contract.check_distributions(relaxed(SPACES.get(name)), 3)


def test_expected_latency_is_the_mean_of_what_is_drawn() -> None:
    space = DartsSpace(params={"channels": 4, "layers": 1, "head": "lraspp:width=8"})
    contract.check_expected_latency(space, SMALL, 2000)
