"""The IR on genotypes as the default space makes them."""

from __future__ import annotations

import numpy as np

from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.ir.passes.simplify import simplify
from hwnas.ir.serialize import genotype_from_dict, genotype_to_dict
from hwnas.ir.verify import verify
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES


def samples(count: int) -> list[Genotype]:
    space, rng = SPACES.get("realtime"), np.random.default_rng(0)
    return [space.decode(space.sample(rng)).genotype for _ in range(count)]


def test_every_genotype_survives_the_round_trip() -> None:
    for genotype in samples(30):
        assert genotype_from_dict(genotype_to_dict(genotype)) == genotype


def test_expanded_graphs_are_well_formed_before_and_after_simplifying() -> None:
    for genotype in samples(30):
        graph = expand(genotype, (3, 96, 128), 5)
        verify(graph)
        verify(simplify(graph), dead_nodes=False)


def test_genotypes_and_their_graphs_have_fingerprints_one_to_one() -> None:
    pairs = [(fingerprint(genotype), fingerprint(expand(genotype, (3, 96, 128), 5))) for genotype in samples(100)]
    assert len(set(pairs)) == len({of_genotype for of_genotype, _ in pairs}) == len({of_graph for _, of_graph in pairs})
