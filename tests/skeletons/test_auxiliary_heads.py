"""Heads that only training looks at, in the networks of all spaces that gradients search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import GenotypeError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES

SPACES_THAT_SEGMENT = ("darts", "auto-deeplab-small", "cas-small", "gas-small", "fasterseg", "mbconv", "realtime")


def genotype_of(space: str) -> Genotype:
    found = SPACES.get(space)
    return found.decode(found.sample(np.random.default_rng(3))).genotype


def expanded(genotype: Genotype, **params: object) -> OpGraph:
    return expand(replace(genotype, params={**genotype.params, **params}), (3, 120, 160), 5)


@pytest.mark.parametrize("space", SPACES_THAT_SEGMENT)
def test_heads_are_added_and_nothing_else_changes(space: str) -> None:
    genotype = genotype_of(space)
    given = {"attention": False} if space == "fasterseg" else {}  # which would be there without any reader
    plain, graph = expanded(genotype), expanded(genotype, auxiliary=True, **given)
    assert not plain.auxiliary and graph.auxiliary
    for name in graph.auxiliary:
        classes, height, _ = graph.shape(name)
        assert classes == 5 and height > 1
    assert fingerprint(without_auxiliary(graph)) == fingerprint(plain)


@pytest.mark.parametrize("space", ["auto-deeplab-small", "gas-small", "mbconv", "realtime"])
def test_error_on_what_is_no_yes_or_no(space: str) -> None:
    with pytest.raises(GenotypeError, match="auxiliary must be"):
        expanded(genotype_of(space), auxiliary=1)


def test_error_where_the_network_does_not_segment() -> None:
    with pytest.raises(GenotypeError, match="the head classify does not"):
        expanded(genotype_of("mbconv-imagenet"), auxiliary=True)
