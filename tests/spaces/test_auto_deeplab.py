"""Auto-DeepLab's space and skeleton: sizes as in the paper, paths on the trellis, the published nets from arrays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.errors import GenotypeError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.skeletons.auto_deeplab import check_path
from hwnas.skeletons.base import expand
from hwnas.spaces.auto_deeplab import AutoDeepLabSpace, block_cell
from hwnas.spaces.base import SPACES
from hwnas.spaces.decisions import size
from hwnas.spaces.trellis import paths
from hwnas.zoo.catalog import load
from hwnas.zoo.notation.auto_deeplab import read_auto_deeplab
from hwnas.zoo.published import figures

FACTS = {figure.id: figure.value for figure in figures() if figure.family == "auto-deeplab"}
SPACE = SPACES.get("auto-deeplab")
PATH = (0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1)


def test_the_space_has_the_size_that_the_paper_says() -> None:
    assert len(paths(11, 0, 4)) == FACTS["autodeeplab/search_space/paths"]
    assert size(SPACE) == FACTS["autodeeplab/search_space/paths"] * FACTS["autodeeplab/search_space/cells"]


def test_every_path_of_a_small_trellis_is_one_decision() -> None:
    space = AutoDeepLabSpace(layers=5, blocks=1)
    halves = {choice.name: choice.options for choice in space.choices if choice.name.startswith("path")}
    joined = [(*early, *late) for early in halves["path.early"] for late in halves[f"path.late.from{early[-1]}"]]
    expected = [
        (0, *rest)
        for rest in itertools.product(range(4), repeat=4)
        if all(abs(a - b) <= 1 for a, b in itertools.pairwise((0, *rest)))
    ]
    assert sorted(joined) == expected


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=6).map(tuple))
def test_a_path_is_refused_exactly_where_it_leaves_the_trellis(path: tuple[int, ...]) -> None:
    inside = all(0 <= level <= 3 for level in path)
    steps = all(abs(a - b) <= 1 for a, b in itertools.pairwise((0, *path)))
    if inside and steps:
        check_path(path)
    else:
        with pytest.raises(GenotypeError, match="leaves the trellis"):
            check_path(path)


@pytest.mark.parametrize("size_hw", [(513, 513), (400, 600)])
def test_a_layer_has_the_stride_and_channels_of_its_level(size_hw: tuple[int, int]) -> None:
    graph = expand(load("auto-deeplab-s"), (3, *size_hw), 19)
    for layer, level in enumerate(PATH):
        stride = 4 << level
        expected = (5 * 20 << level, *(-(-side // stride) for side in size_hw))
        assert graph.shape(f"cell{layer}/concat") == expected


def test_skips_stride_by_a_convolution_and_unprojected_channels_stay() -> None:
    cell = block_cell([(("skip_connect", "current"), ("skip_connect", "previous"))])
    params = {"path": (1, 1), "filters": 32, "head": "seg_head"}
    graph = expand(Genotype("g", "auto-deeplab", {"cell": cell}, params), (3, 64, 64), 4)
    assert graph.node("cell0/block1_left").op == "nor_conv_1x1"
    assert graph.node("cell0/block1_left").params["stride"] == 2
    assert graph.node("cell1/block1_left").op == "skip_connect"
    # the stem's 64 channels are what the first cell works on: nothing to project
    assert "cell0/previous/project" not in graph.order
    assert "cell1/previous/project" in graph.order


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"path": (0, 2)}, "layer 1 is at level 2, but layer 0 is at level 0"),
        ({"path": ()}, "path must be a list of levels"),
        ({"path": "01"}, "path must be a list of levels"),
        ({"filters": 0}, "filters must be a whole number of at least 1"),
        ({"head": 3}, "head must be a text"),
        ({"depth": 3}, "no parameter 'depth'"),
    ],
)
def test_error_on_parameters_that_do_not_fit(params: dict, message: str) -> None:
    genotype = SPACE.decode(SPACE.sample(np.random.default_rng(0))).genotype
    with pytest.raises(GenotypeError, match=message):
        expand(Genotype("g", genotype.skeleton, genotype.cells, {**genotype.params, **params}), (3, 512, 512), 4)


def test_error_on_images_too_small_for_the_dilation() -> None:
    with pytest.raises(GenotypeError, match="28x28 pixels are too small for a dilation of 36"):
        expand(load("auto-deeplab-s"), (3, 224, 224), 4)


@pytest.mark.parametrize(("name", "filters"), [("s", 20), ("m", 32), ("l", 48)])
def test_the_zoo_holds_what_the_authors_arrays_say(name: str, filters: int) -> None:
    text = f"""
    backbone = {list(PATH)}
    num_conv_filters = {filters}
    hiddenstate_indices = [1, 0, 1, 0, 3, 1, 4, 2, 3, 5]
    used_hiddenstates = [1, 1, 0, 0, 0, 0, 0]
    operations = [
        'atrous_5x5', 'separable_3x3_2', 'separable_3x3_2', 'atrous_3x3', 'separable_3x3_2',
        'separable_3x3_2', 'separable_5x5_2', 'separable_5x5_2', 'separable_5x5_2', 'atrous_5x5',
    ]
    """.replace("\n    ", "\n")
    assert fingerprint(read_auto_deeplab(text, name)) == fingerprint(load(f"auto-deeplab-{name}"))
