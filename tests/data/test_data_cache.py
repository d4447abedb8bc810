from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from hwnas.data import cache, pixels
from hwnas.data.base import IGNORE, open_dataset, record_reads
from hwnas.data.cache import default_cache_dir, load_arrays, resize_pair
from hwnas.data.frequencies import class_amounts, class_frequencies
from hwnas.errors import DataError, HwnasError
from tests.data.miniatures import SIZE_HW, folder, labels, picture, save


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return folder(tmp_path / "set")


def _entry(cache_dir: Path) -> Path:
    (entry,) = (cache_dir / "arrays").iterdir()
    return entry


def _decodes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    opened: list[Path] = []
    real = pixels.read_pixels
    monkeypatch.setattr(pixels, "read_pixels", lambda path, labels: (opened.append(path), real(path, labels=labels))[1])
    return opened


def test_second_load_decodes_nothing(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = _decodes(monkeypatch)
    first = load_arrays(open_dataset(spec), "train", (32, 40), tmp_path)
    assert len(opened) == 6 and first.images.shape == (3, 32, 40, 3) and first.masks.shape == (3, 32, 40)
    second = load_arrays(open_dataset(spec), "train", (32, 40), tmp_path)
    assert len(opened) == 6
    assert isinstance(second.images, np.memmap) and (second.images == first.images).all()
    assert second.keys == ("1", "2", "3")


def test_resizing_is_bilinear_for_images_and_nearest_for_masks() -> None:
    image, mask = resize_pair(np.full((8, 8, 3), 90, np.uint8), labels(0, [0, 7])[:8, :8], (13, 5))
    assert (image == 90).all() and image.shape == (13, 5, 3)
    assert set(np.unique(mask)) <= {0, 7} and mask.shape == (13, 5)


def test_masks_keep_only_labels_that_were_there(spec: str, tmp_path: Path) -> None:
    arrays = load_arrays(open_dataset(spec), "train", (33, 47), tmp_path)
    assert set(np.unique(arrays.masks)) == {0, 1, 2, IGNORE}


def test_changed_file_makes_a_new_entry(spec: str, tmp_path: Path) -> None:
    load_arrays(open_dataset(spec), "train", SIZE_HW, tmp_path)
    changed = save(tmp_path / "set" / "images" / "train" / "2.png", picture(99))
    os.utime(changed, ns=(1, 1))
    arrays = load_arrays(open_dataset(spec), "train", SIZE_HW, tmp_path)
    assert (arrays.images[1] == picture(99)).all()
    assert len(list((tmp_path / "arrays").iterdir())) == 2


def test_sizes_and_splits_have_entries_of_their_own(spec: str, tmp_path: Path) -> None:
    dataset = open_dataset(spec)
    for split, size_hw in (("train", (32, 32)), ("train", (32, 40)), ("val", (32, 32))):
        load_arrays(dataset, split, size_hw, tmp_path)
    assert len(list((tmp_path / "arrays").iterdir())) == 3


@pytest.mark.parametrize("damage", ["truncate", "flip", "no entry", "bad entry", "no masks", "header"])
def test_damaged_entry_is_made_again(spec: str, tmp_path: Path, damage: str) -> None:
    whole = np.array(load_arrays(open_dataset(spec), "train", SIZE_HW, tmp_path).images)
    entry = _entry(tmp_path)
    images = entry / "images.npy"
    data = images.read_bytes()
    if damage == "truncate":
        images.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        images.write_bytes(data[:-10] + bytes([data[-10] ^ 1]) + data[-9:])
    elif damage == "no entry":
        (entry / "entry.json").unlink()
    elif damage == "bad entry":
        (entry / "entry.json").write_text('{"images": 3')
    elif damage == "no masks":
        (entry / "masks.npy").unlink()
    else:
        images.write_bytes(b"x" * len(data))
    again = load_arrays(open_dataset(spec), "train", SIZE_HW, tmp_path)
    assert (again.images == whole).all()


def test_corrupt_image_is_named_and_leaves_nothing_behind(spec: str, tmp_path: Path) -> None:
    path = tmp_path / "set" / "images" / "train" / "2.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"2\.png cannot be decoded"):
        load_arrays(open_dataset(spec), "train", SIZE_HW, tmp_path)
    assert list((tmp_path / "arrays").iterdir()) == []


def test_full_disk_is_one_sentence(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write_header", full)
    with pytest.raises(HwnasError, match=r"cannot write the image cache .*No space left"):
        load_arrays(open_dataset(spec), "train", SIZE_HW, tmp_path)
    assert list((tmp_path / "arrays").iterdir()) == []


def test_loading_is_reported_even_from_the_cache(spec: str, tmp_path: Path) -> None:
    load_arrays(open_dataset(spec), "val", SIZE_HW, tmp_path)
    with record_reads() as reads:
        load_arrays(open_dataset(spec), "val", SIZE_HW, tmp_path)
    assert [each.split for each in reads] == ["val"]


def test_cache_folder_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HWNAS_CACHE", str(tmp_path / "here"))
    assert default_cache_dir() == tmp_path / "here"
    monkeypatch.delenv("HWNAS_CACHE")
    assert default_cache_dir() == Path.home() / ".cache" / "hwnas"


def test_entry_says_what_it_was_made_of(spec: str, tmp_path: Path) -> None:
    load_arrays(open_dataset(spec), "val", SIZE_HW, tmp_path)
    assert json.loads((_entry(tmp_path) / "entry.json").read_text())["spec"] == spec


def test_frequencies_are_shares_of_what_is_not_ignored(spec: str, tmp_path: Path) -> None:
    arrays = load_arrays(open_dataset(spec), "train", SIZE_HW, tmp_path)
    amounts = class_amounts(arrays, 3)
    assert amounts.shape == (3, 3)
    assert amounts.sum() + (arrays.masks == IGNORE).sum() == arrays.masks.size
    shares = class_frequencies(arrays, 3)
    assert shares.sum() == pytest.approx(1) and shares[0] == pytest.approx(amounts[:, 0].sum() / amounts.sum())
