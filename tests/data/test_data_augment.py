from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas.data.augment import Augmentation
from hwnas.data.base import IGNORE
from hwnas.data.batches import Batches
from hwnas.data.cache import Arrays
from hwnas.data.preprocess import MEAN, STD, input_contract, normalize, normalize_array


def _plain(crop_hw: tuple[int, int], scale: float = 1.0, flip: bool = False) -> Augmentation:
    return Augmentation(crop_hw=crop_hw, scale=(scale, scale), flip=flip, brightness=0, contrast=0, saturation=0)


def _coded(count: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose red tells the mask's label (ten times it), so that images and masks can be compared."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 20, (count, height // 4, width // 4), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    images = np.repeat(masks[..., None] * 10, 3, -1).astype(np.uint8)
    return images, masks


def _red(images: torch.Tensor) -> torch.Tensor:
    return (images[:, 0] * STD[0] + MEAN[0]) * 255


def test_normalize_by_hand() -> None:
    image = np.zeros((1, 1, 2, 3), np.uint8)
    image[0, 0, 1] = (255, 51, 0)
    expected = [[-MEAN[0] / STD[0], (1 - MEAN[0]) / STD[0]], [-MEAN[1] / STD[1], (0.2 - MEAN[1]) / STD[1]]]
    result = normalize(torch.from_numpy(image))
    assert result.shape == (1, 3, 1, 2) and result.is_contiguous()
    assert result[0, :2, 0].tolist() == pytest.approx(np.array(expected), abs=1e-6)
    np.testing.assert_allclose(normalize_array(image), result.numpy(), atol=1e-6)


def test_contract_says_what_normalize_does() -> None:
    contract = input_contract()
    assert contract["mean"] == list(MEAN) and contract["std"] == list(STD) and contract["layout"] == "NCHW"


def test_no_change_equals_normalize() -> None:
    images, masks = _coded(3, 40, 48)
    made, labels = _plain((40, 48))(images, masks, np.random.default_rng(0))
    torch.testing.assert_close(made, normalize(torch.from_numpy(images)), atol=1e-5, rtol=0)
    assert (labels.numpy() == masks).all() and labels.dtype == torch.int64


@given(scale=st.floats(0.3, 3), height=st.integers(16, 60), width=st.integers(16, 60), seed=st.integers(0, 99))
def test_image_and_mask_stay_together(scale: float, height: int, width: int, seed: int) -> None:
    # One picture brightens to the right, one downwards; the labels say where a pixel was.
    rows, columns = np.mgrid[:40, :48].astype(np.uint8)
    masks = np.stack([columns, rows])
    images = np.repeat(masks[..., None] * 4, 3, -1)
    made, labels = _plain((height, width), scale, flip=True)(images, masks, np.random.default_rng(seed))
    assert made.shape == (2, 3, height, width) and labels.shape == (2, height, width)
    outside = labels == IGNORE
    assert (made.permute(0, 2, 3, 1)[outside] == 0).all()
    pixels_off = (_red(made) / 4 - labels).abs()[~outside]
    # Half a pixel is the most that the nearest label can be off; smaller pictures average over more.
    assert pixels_off.max() <= 0.6 + 0.5 / min(scale, 1)


def test_small_images_are_padded_with_ignored_pixels() -> None:
    images, masks = _coded(1, 40, 48)
    _, labels = _plain((100, 100), 0.5)(images, masks, np.random.default_rng(1))
    inside = labels[0] != IGNORE
    assert inside.sum() == 20 * 24
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    assert len(rows) == 20 and len(columns) == 24


def test_flip_mirrors_half_of_them() -> None:
    images, masks = _coded(1, 40, 48)
    mirrored = 0
    rng = np.random.default_rng(0)
    for _ in range(100):
        made, labels = _plain((40, 48), flip=True)(images, masks, rng)
        flipped = bool((labels.numpy()[0] == masks[0][:, ::-1]).all())
        assert flipped or (labels.numpy()[0] == masks[0]).all()
        assert (_red(made) - labels * 10).abs().max() < 0.1
        mirrored += flipped
    assert 30 < mirrored < 70


def test_colors_change_within_what_a_camera_gives() -> None:
    images, masks = _coded(4, 40, 48)
    change = Augmentation(crop_hw=(40, 48), scale=(1, 1), flip=False)
    made, labels = change(images, masks, np.random.default_rng(0))
    plain = normalize(torch.from_numpy(images))
    assert (labels.numpy() == masks).all()
    assert (made - plain).abs().max() > 0.1
    low = torch.tensor([-m / s for m, s in zip(MEAN, STD, strict=True)]).view(1, 3, 1, 1)
    high = torch.tensor([(1 - m) / s for m, s in zip(MEAN, STD, strict=True)]).view(1, 3, 1, 1)
    assert (made >= low - 1e-4).all() and (made <= high + 1e-4).all()


def test_brightness_by_hand() -> None:
    images = np.full((1, 32, 32, 3), 100, np.uint8)
    change = Augmentation(crop_hw=(32, 32), scale=(1, 1), flip=False, brightness=0.5, contrast=0, saturation=0.9)
    factors = []
    for seed in range(20):
        made, _ = change(images, images[..., 0], np.random.default_rng(seed))
        assert made[0, 0].std() == pytest.approx(0, abs=1e-4)  # grey has no saturation to change
        factors.append(float(_red(made).mean()) / 100)
    assert 0.5 <= min(factors) < 0.8 and 1.2 < max(factors) <= 1.5


def test_same_generator_same_result() -> None:
    images, masks = _coded(2, 40, 48)
    change = Augmentation(crop_hw=(24, 24))
    one = change(images, masks, np.random.default_rng(5))
    other = change(images, masks, np.random.default_rng(5))
    assert (one[0] == other[0]).all() and (one[1] == other[1]).all()


@pytest.fixture
def arrays() -> Arrays:
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return Arrays(images, images[..., 0].copy(), tuple(map(str, range(10))))


def _show_numbers(
    images: list[np.ndarray], masks: list[np.ndarray], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.tensor([int(image[0, 0, 0]) for image in images])
    return numbers, torch.from_numpy(rng.integers(0, 1000, len(images)))


def test_every_epoch_shows_every_index_once(arrays: Arrays) -> None:
    indices = np.array([1, 3, 4, 7, 9])
    batches = Batches(arrays, indices, 4, _show_numbers, seed=0)
    shown = torch.cat([next(batches)[0] for _ in range(10)]).tolist()
    orders = [shown[start : start + 5] for start in range(0, 40, 5)]
    assert all(sorted(order) == indices.tolist() for order in orders)
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_stream_can_be_taken_up_anywhere(arrays: Arrays, ahead: int) -> None:
    whole = Batches(arrays, np.arange(10), 3, _show_numbers, seed=7)
    expected = [next(whole) for _ in range(9)]
    with Batches(arrays, np.arange(10), 3, _show_numbers, seed=7, start=4, ahead=ahead) as rest:
        for step in range(4, 9):
            assert rest.step == step
            made = next(rest)
            assert all((one == other).all() for one, other in zip(made, expected[step], strict=True))


def test_seeds_differ(arrays: Arrays) -> None:
    one, other = (Batches(arrays, np.arange(10), 10, _show_numbers, seed=seed).batch(0)[0] for seed in (0, 1))
    assert one.tolist() != other.tolist()


def test_error_in_the_thread_is_raised_here(arrays: Arrays) -> None:
    def fail(images: list[np.ndarray], masks: list[np.ndarray], rng: np.random.Generator) -> object:
        raise ValueError("spoiled")

    with Batches(arrays, np.arange(10), 3, fail, seed=0, ahead=2) as batches:  # type: ignore[arg-type]
        for _ in range(2):
            with pytest.raises(ValueError, match="spoiled"):
                next(batches)


def test_closing_stops_a_thread_that_waits(arrays: Arrays, tmp_path: Path) -> None:
    batches = Batches(arrays, np.arange(10), 3, _show_numbers, seed=0, ahead=1)
    time.sleep(0.05)
    batches.close()
    assert batches._worker is not None and not batches._worker._thread.is_alive()
