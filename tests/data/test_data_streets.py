from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwnas.data.base import open_dataset
from hwnas.data.cache import load_arrays
from hwnas.data.frequencies import class_amounts
from hwnas.data.street.canvas import NEAR_M, Camera, clip_near
from hwnas.data.street.render import render
from hwnas.data.street.sample import sample_scene
from hwnas.data.street.scene import Label, Thing, View
from hwnas.data.streets import Streets, open_streets
from hwnas.errors import DataError


def test_every_class_is_in_every_split_and_none_fills_the_picture(tmp_path: Path) -> None:
    dataset = open_dataset("streets:size=90x120,train=16,val=16,seed=5")
    for split in dataset.splits:
        amounts = class_amounts(load_arrays(dataset, split, (90, 120), tmp_path), len(Label))
        assert (amounts.sum(0) > 20).all()
        assert (amounts.max(1) < 0.75 * 90 * 120).all()
        shares = amounts.sum(0) / amounts.sum()
        assert shares[Label.ROAD] > 0.2 and shares[Label.SKY] > 0.05 and shares[Label.BUILDING] > 0.1


def test_picture_depends_on_seed_split_and_index_only() -> None:
    small, large = Streets(60, 80, train=3), Streets(60, 80, train=30)
    one, same = small.draw(small.items("train")[2]), large.draw(large.items("train")[2])
    assert (one[0] == same[0]).all() and (one[1] == same[1]).all()
    others = [
        small.draw(small.items("train")[1]),
        small.draw(small.items("val")[2]),
        Streets(60, 80, seed=1).draw(small.items("train")[2]),
    ]
    assert all((one[0] != other[0]).mean() > 0.5 for other in others)


def test_size_changes_the_resolution_not_the_scene() -> None:
    item = Streets().items("train")[4]
    small, large = Streets(60, 80).draw(item)[1], Streets(240, 320).draw(item)[1]
    assert (small == large[2::4, 2::4]).mean() > 0.9


@pytest.mark.parametrize("size_hw", [(32, 32), (33, 97), (200, 64)])
def test_odd_sizes_are_drawn(size_hw: tuple[int, int]) -> None:
    dataset = Streets(*size_hw)
    for index in range(3):
        picture, labels = dataset.draw(dataset.items("val")[index])
        assert picture.shape == (*size_hw, 3) and labels.shape == size_hw
        assert picture.dtype == labels.dtype == np.uint8 and labels.max() < len(Label)


def test_many_scenes_are_drawn_without_failing() -> None:
    dataset = Streets(32, 48, train=60, seed=11)
    for item in dataset.items("train"):
        picture, _ = dataset.draw(item)
        assert picture.std() > 5


def test_defaults_and_options() -> None:
    assert open_streets("") == Streets()
    assert open_streets("size=64x96, train=5,val=2,seed=9") == Streets(64, 96, 5, 2, 9)
    assert open_streets("").items("val")[0].image is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("tain=4", "no option 'tain=4'"),
        ("train", "no option 'train'"),
        ("train=many", "not a whole number"),
        ("size=big", "not HEIGHTxWIDTH"),
        ("size=8x8", "too small"),
        ("val=0", "empty split"),
    ],
)
def test_bad_options_are_explained(options: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_streets(options)


def test_nearer_things_hide_farther_ones() -> None:
    scene = sample_scene(np.random.default_rng(0))
    view = replace(scene.view, yaw=0.0, curve=0.0, x=0.0)
    for near, far, label in (("person", "bus", Label.PERSON), ("bus", "person", Label.CAR)):
        things = (Thing(near, 0.0, 8.0, 1.7 if near == "person" else 1.0, 0.0, 1), Thing(far, 0.0, 24.0, 1.0, 0.0, 2))
        for order in (things, things[::-1]):
            _, labels = render(replace(scene, view=view, things=order), (120, 160))
            # The middle of the nearer thing: at half a person's height, 8 m away.
            row = round(view.horizon * 120 + (view.height - 0.9) / 8 * view.focal * 120)
            assert labels[row, 80] == label


def test_camera_by_hand() -> None:
    camera = Camera(View(x=1, height=2, yaw=0, focal=1, horizon=0.5, curve=0), (100, 120))
    assert camera.to_pixel(camera.to_camera((1, 2, 10))) == (60, 50)
    assert camera.to_pixel(camera.to_camera((3, 0, 10))) == pytest.approx((80, 70))
    x, z = camera.ground(np.array([70.0]), np.array([80.0]))
    assert (float(x[0, 0]), float(z[0, 0])) == pytest.approx((3, 10))


def test_clipping_keeps_what_is_in_front() -> None:
    square = [(0.0, 0.0, -1.0), (1.0, 0.0, -1.0), (1.0, 0.0, 3.0), (0.0, 0.0, 3.0)]
    kept = clip_near(square)
    assert len(kept) == 4 and min(point[2] for point in kept) == NEAR_M
    assert clip_near([(0, 0, 0), (1, 0, 0), (0, 1, 0)]) == []
