"""The default space: its size, its genotypes' round trip, and the range that it spans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.compiler.cost import cost_of
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.serialize import genotype_from_dict, genotype_to_dict
from hwnas.ir.verify import verify
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import canonical, random_decisions, size

SPACE = SPACES.get("realtime")


def test_size_is_the_product_of_its_parts() -> None:
    first, inner = 3, 6
    stages = [first * sum(inner**extra for extra in range(depth)) for depth in (3, 4, 5, 3)]
    coarser = 1 + 2 * 3
    heads = sum(coarser**extra for extra in range(3)) * 2 * 3
    assert size(SPACE) == 4 * 4**4 * int(np.prod(stages)) * 2 * 3 * 4 * heads
    assert 1e12 < size(SPACE) < 1e20


@given(seed=st.integers(0, 2**32 - 1))
def test_genotypes_expand_verify_and_round_trip(seed: int) -> None:
    genotype = SPACE.decode(random_decisions(SPACE, np.random.default_rng(seed))).genotype
    graph = expand(genotype, (3, 97, 130), 11)
    verify(graph)
    assert graph.shape(graph.output) == (11, 97, 130)
    back = genotype_from_dict(genotype_to_dict(genotype))
    assert back == genotype
    assert fingerprint(expand(back, (3, 97, 130), 11)) == fingerprint(graph)


def extreme(largest: bool) -> dict:
    decisions = {choice.name: choice.options[-1 if largest else 0] for choice in SPACE.choices}
    decisions["head.stride"] = 4 if largest else 16
    for stage in range(1, 5):
        for block in range(1, 6):
            if f"stage{stage}.block{block}" in decisions:
                decisions[f"stage{stage}.block{block}"] = (
                    ("conv_3x3" if block == 1 else "basic_block") if largest else "ds_conv_3x3"
                )
    return canonical(SPACE, decisions)


def test_the_space_spans_from_tiny_to_large() -> None:
    macs = [
        cost_of(expand(SPACE.decode(extreme(largest)).genotype, (3, 360, 480), 11)).macs for largest in (False, True)
    ]
    assert macs[0] < 0.54e9 / 8  # Fast-SCNN has 0.54 GMACs at this size
    assert macs[1] > 2 * 8.63e9  # BiSeNetV2 has 8.63


@pytest.mark.parametrize("choice", ["head.stride", "context", "dilate"])
def test_each_of_these_choices_changes_the_graph(choice: str) -> None:
    decisions = extreme(False)
    prints = set()
    options = next(item.options for item in SPACE.choices if item.name == choice)
    for option in options:
        full = {item.name: item.options[-1] for item in SPACE.choices} | decisions | {choice: option}
        prints.add(fingerprint(expand(SPACE.decode(canonical(SPACE, full)).genotype, (3, 96, 128), 3)))
    assert len(prints) == len(options)
