"""Auto-DeepLab's arrays: both forms read, ours written, round trips, and every fault named."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.errors import GenotypeError
from hwnas.ir.fingerprint import fingerprint
from hwnas.spaces.base import SPACES
from hwnas.zoo.notation.auto_deeplab import read_auto_deeplab, write_auto_deeplab

PUBLISHED = """
operations = ['atrous_5x5', 'separable_3x3_2', 'separable_3x3_2', 'atrous_3x3', 'separable_3x3_2',
              'separable_3x3_2', 'separable_5x5_2', 'separable_5x5_2', 'separable_5x5_2', 'atrous_5x5']
used_hiddenstates = [1, 1, 0, 0, 0, 0, 0]
hiddenstate_indices = [1, 0, 1, 0, 3, 1, 4, 2, 3, 5]
backbone = [0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1]
"""
# edges: 0 previous, 1 current into block 1; 2, 3, 4 into block 2; from 5 into block 3; from 9; from 14
COMMUNITY = """
network_path = [0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1]
cell = np.array([[0, 7], [1, 4], [2, 4], [3, 6], [8, 4], [5, 4], [13, 5], [11, 5], [17, 5], [19, 7]])
"""


def test_both_forms_say_the_same() -> None:
    authors, community = read_auto_deeplab(PUBLISHED, "a"), read_auto_deeplab(COMMUNITY, "b")
    assert fingerprint(authors) == fingerprint(community)
    assert authors.params["filters"] == 20
    assert [node.op for node in authors.cells["cell"].nodes].count("atrous_conv_5x5") == 2


def test_what_is_written_is_read_back() -> None:
    space, rng = SPACES.get("auto-deeplab"), np.random.default_rng(0)
    for _ in range(200):
        genotype = space.decode(space.sample(rng)).genotype
        again = read_auto_deeplab(write_auto_deeplab(genotype), "again")
        assert fingerprint(again) == fingerprint(genotype)


def with_change(old: str, new: str, text: str = PUBLISHED) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_change("2, 1, 2, 2", "2, 0, 2, 2"), "the path leaves the trellis: layer 5 is at level 0, but layer 4"),
        (with_change("= [0, 0, 0, 1", "= [2, 2, 2, 1"), "layer 0 is at level 2, but the stem ends at level 0"),
        (with_change("3, 3, 2, 1]\n", "3, 4, 3, 2]\n"), "layer 9 is at level 4"),
        (with_change("= [0, 0, 0", "= [0, -1, 0"), "layer 1 is at level -1"),
        (with_change("= [0, 0, 0", "= [0, '0', 0"), "backbone must be a list of whole numbers"),
        (with_change("'atrous_5x5'", "'atrous_7x7'"), "operation 0 is 'atrous_7x7'\n  the operations are: separable"),
        (with_change("indices = [1, 0", "indices = [1"), "lists of the same even length"),
        (with_change("indices = [1, 0", "indices = [1, 2"), "block 1 takes state 2\n  there are states 0 to 1"),
        (with_change("[1, 1, 0, 0, 0, 0, 0]", "[1, 1, 1, 1, 1, 1, 1]"), "must be 7 marks"),
        (with_change("[1, 1, 0, 0, 0, 0, 0]", "[0, 1, 0, 0, 0, 0, 0]"), "the inputs cannot be"),
        (with_change("backbone", "backbones"), "has no 'backbones'"),
        (PUBLISHED + "path = [0]", "says 'path' under two names"),
        (with_change("backbone = [0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1]", ""), "lacks 'backbone'"),
        (with_change("[0, 7]", "[2, 7]", COMMUNITY), "row [2, 7] does not fit block 1\n  its edges are 0 to 1"),
        (with_change("[0, 7]", "[0, 8]", COMMUNITY), "does not fit block 1"),
        (with_change("[0, 7], ", "", COMMUNITY), "even number of rows"),
        (with_change("[0, 7]", "[0, open('x')]", COMMUNITY), "line 3, column 22: this calls open"),
    ],
)
def test_error_on_faulty_arrays(text: str, message: str) -> None:
    with pytest.raises(GenotypeError) as caught:
        read_auto_deeplab(text, "faulty")
    assert message in str(caught.value)
