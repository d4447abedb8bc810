"""Expectations through sites: equal to sums over all genotypes that a distribution can give, where these are few."""

from __future__ import annotations

import functools
import itertools
import math
import zlib

import numpy as np
import pytest
import torch

from hwnas.errors import TableError
from hwnas.latency.context import edges_of
from hwnas.latency.keys import keys_of
from hwnas.latency.sited import SitedModel
from hwnas.skeletons.base import expand
from hwnas.spaces.auto_deeplab import SEARCH_HEAD, AutoDeepLabSpace
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import canonical
from hwnas.spaces.fasterseg import FasterSegSpace
from hwnas.spaces.nasnet import NasnetSpace
from hwnas.spaces.relaxed import uniform
from hwnas.spaces.sites.known import sites_of

SIZE, CLASSES = (90, 122), 3
NARROW = {
    "auto-deeplab": AutoDeepLabSpace(layers=4, filters=2, blocks=2, head="aspp:width=4,rates=none"),
    "fasterseg": FasterSegSpace(layers=4, filters=2),
    "nasnet": NasnetSpace(params={"layers": 4, "channels": 4}),
}
"""Every space with sites; narrow, so that networks are small."""


class Arbitrary:
    """Every kernel and every pair of kinds has a price that nothing can be guessed from."""

    overhead_ms = 0.2

    def __init__(self, without: str = "") -> None:
        self.without = without

    def node_ms(self, key):
        if key.op == self.without:
            raise TableError(f"no entry for {key.text}")
        return zlib.crc32(key.text.encode()) % 997 / 997

    def edge_ms(self, edge):
        return zlib.crc32(repr(edge).encode()) % 991 / 991


@functools.cache
def known(name):
    return SitedModel(Arbitrary(), NARROW[name], SIZE, CLASSES, np.random.default_rng(0))


def price(space, decisions) -> float:
    graph, model = expand(space.decode(decisions).genotype, (3, *SIZE), CLASSES), Arbitrary()
    nodes = sum(map(model.node_ms, keys_of(graph).values()))
    return nodes + sum(map(model.edge_ms, edges_of(graph).values())) + model.overhead_ms


def allowed(space) -> dict[str, list[int]]:
    """Choice → numbers of the options that its relaxation can mean."""
    soft = {name: torch.from_numpy(vector) for name, vector in uniform(space.relaxation).items()}
    return {name: vector.nonzero().flatten().tolist() for name, vector in space.choice_probabilities(soft).items()}


def few(space, rng, open_choices: int):
    """(Distributions of which only some have two options, and no other more than one; those options by choice)."""
    options = {name: [int(rng.choice(numbers))] for name, numbers in allowed(space).items()}
    several = [name for name, numbers in allowed(space).items() if len(numbers) > 1]
    for name in rng.choice(several, open_choices, replace=False):
        options[name] = rng.choice(allowed(space)[name], 2, replace=False).tolist()
    meant = {}
    for choice in space.choices:
        vector = np.zeros(len(choice.options))
        vector[options[choice.name]] = rng.dirichlet(np.ones(len(options[choice.name])))
        meant[choice.name] = torch.from_numpy(vector)
    return meant, options


def mean(space, meant, options) -> float:
    """By listing all genotypes."""
    names = [choice.name for choice in space.choices]
    by_name = {choice.name: choice.options for choice in space.choices}
    total = 0.0
    for places in itertools.product(*(options[name] for name in names)):
        chance = math.prod(float(meant[name][place]) for name, place in zip(names, places, strict=True))
        decided = {name: by_name[name][place] for name, place in zip(names, places, strict=True)}
        total += chance * price(space, canonical(space, decided))
    return total


def test_every_space_with_sites_is_tested():
    sited = [SPACES.get(name) for name in SPACES.names() if sites_of(SPACES.get(name)) is not None]
    assert {type(space) for space in sited} == {type(space) for space in NARROW.values()}


@pytest.mark.parametrize(("undecided", "times"), [(0, 10), (4, 5)], ids=["one genotype", "several"])
@pytest.mark.parametrize("name", NARROW)
def test_the_expectation_is_the_sum_over_all_genotypes(name, undecided, times):
    """Of a certain genotype that is its prediction."""
    space, rng = NARROW[name], np.random.default_rng(1)
    for _ in range(times):
        meant, options = few(space, rng, undecided)
        assert float(known(name).expected_ms(meant)) == pytest.approx(mean(space, meant, options))


@pytest.mark.parametrize("name", NARROW)
def test_its_slope_is_the_difference_between_options(name):
    space, rng = NARROW[name], np.random.default_rng(3)
    soft = {choice.name: torch.from_numpy(rng.dirichlet(np.ones(len(choice.options)))) for choice in space.relaxation}
    meant = {key: vector.requires_grad_() for key, vector in space.choice_probabilities(soft).items()}
    slopes = torch.autograd.grad(known(name).expected_ms(meant), list(meant.values()))
    for choice, slope in list(zip(space.choices, slopes, strict=True))[::7]:
        first, last = allowed(space)[choice.name][0], allowed(space)[choice.name][-1]
        costs = []
        for place in (first, last):
            certain = torch.zeros_like(slope)
            certain[place] = 1.0
            costs.append(float(known(name).expected_ms({**meant, choice.name: certain}).detach()))
        assert float(slope[last] - slope[first]) == pytest.approx(costs[1] - costs[0], abs=1e-9)


def test_error_where_the_table_lacks_an_op_that_can_be_meant():
    space = AutoDeepLabSpace(layers=3, filters=2, blocks=1, head=SEARCH_HEAD)
    meant, _ = few(space, np.random.default_rng(0), 0)
    with pytest.raises(TableError, match="sep_conv_5x5"):
        SitedModel(Arbitrary("sep_conv_5x5"), space, SIZE, CLASSES, np.random.default_rng(0)).expected_ms(meant)
    known = SitedModel(Arbitrary("none"), space, SIZE, CLASSES, np.random.default_rng(0))
    assert float(known.expected_ms(meant)) > 0, "which no relaxation means"
