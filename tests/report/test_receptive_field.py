"""The effective receptive field, where it is known: of one convolution, of what sees nothing, of larger dilations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwnas.errors import GenotypeError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.report.receptive_field import (
    ReceptiveField,
    deepest,
    draw_receptive_field,
    measure_receptive_field,
    smoothed,
)


def chain(*dilations: int) -> OpGraph:
    builder = GraphBuilder((3, 64, 96))
    source = builder.input
    for index, dilation in enumerate(dilations):
        source = builder.add(f"conv{index}", "conv_3x3", [source], {"channels": 8, "dilation": dilation})
    return builder.finish(source)


def test_one_convolution_sees_its_kernel() -> None:
    field = measure_receptive_field(chain(5), images=2)
    rows, columns = np.nonzero(field.influence_HW > 0)
    # 3 pixels, 5 apart, around the centre (32, 48), and the smoothing's 1 pixel on each side
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (26, 38, 42, 54)
    assert field.influence_HW.max() == 1


def test_dilation_widens_the_field_and_depth_does() -> None:
    sides = [
        measure_receptive_field(chain(*dilations), images=2).side_px for dilations in ((1,) * 3, (1,) * 6, (3,) * 6)
    ]
    assert sides[0] < sides[1] < sides[2]


def test_the_field_of_a_node_does_not_depend_on_what_follows() -> None:
    whole, part = measure_receptive_field(chain(1, 2, 3), "conv1"), measure_receptive_field(chain(1, 2), "conv1")
    np.testing.assert_array_equal(whole.influence_HW, part.influence_HW)


def test_the_deepest_map_is_the_coarsest_that_is_more_than_a_pixel() -> None:
    builder = GraphBuilder((3, 64, 96))
    coarse = builder.add("coarse", "conv_3x3", ["image"], {"channels": 4, "stride": 2})
    last = builder.add("last", "conv_3x3", [coarse], {"channels": 4})
    mean = builder.add("mean", "global_avg_pool", [last])
    graph = builder.finish(builder.add("logits", "seg_head", [mean], {"classes": 2}))
    assert deepest(graph) == "last"


def test_error_on_a_node_that_is_not_there_or_sees_nothing() -> None:
    with pytest.raises(GenotypeError, match="no node 'conv9'"):
        measure_receptive_field(chain(1), "conv9")
    builder = GraphBuilder((3, 32, 32))
    blind = builder.finish(builder.add("zero", "none", ["image"]))
    with pytest.raises(GenotypeError, match="does not depend on the image"):
        measure_receptive_field(blind)


def test_smoothing_keeps_constants_and_means() -> None:
    np.testing.assert_allclose(smoothed(np.full((70, 130), 3.0)), 3.0)
    spike = np.zeros((128, 128))
    spike[64, 64] = 25.0
    assert smoothed(spike)[64, 64] == pytest.approx(1.0)
    assert smoothed(spike).sum() == pytest.approx(25.0)


def test_the_picture_shows_the_image_and_the_square(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:64, :96]
    gauss = np.exp(-((rows - 32) ** 2 + (columns - 48) ** 2) / 200)
    field = ReceptiveField("stage4/block2", gauss)
    assert field.side_px == pytest.approx(np.sqrt(np.pi * 200 * np.log(1 / 0.0455)), rel=0.02)
    with Image.open(draw_receptive_field(field, tmp_path / "field.png", title="net")) as picture:
        assert picture.width >= 96 * 5
        assert len(picture.convert("RGB").getcolors(10_000)) > 20
